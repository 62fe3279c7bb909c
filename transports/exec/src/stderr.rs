//! What a program says on its standard error: the end of it, for errors.

use std::sync::{Arc, Mutex, PoisonError};

use realize_core::path::Escaped;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How many bytes are kept: the last ones.
const KEPT: usize = 2048;

/// The last of what a program said.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    /// Listens until the program says no more.
    pub(crate) async fn listen(self, mut stream: impl AsyncRead + Unpin) {
        let mut read = [0; 512];
        while let Ok(count) = stream.read(&mut read).await {
            if count == 0 {
                return;
            }
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(read.get(..count).unwrap_or_default());
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
        }
    }

    /// What it was, in one line, safe to print; empty if there was nothing.
    pub(crate) fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = kept
            .split(|&byte| byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
            .map(|line| Escaped(line).to_string());
        lines.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_and_escaped() {
        let words = LastWords::default();
        let said = [
            b"x".repeat(5000),
            b"\n\x1b[31mno\n\n  such key\r\n".to_vec(),
        ]
        .concat();
        words.clone().listen(&said[..]).await;
        let text = words.text();
        assert!(text.ends_with("x; \\u{1b}[31mno; such key"), "{text}");
        assert!(text.len() <= KEPT + 16);
    }
}
