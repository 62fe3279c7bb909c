//! Writing receipts.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use realize_core::engine::{Ledger, Record};
use realize_core::path::RelPath;
use realize_core::{Error, ErrorKind, Result};

use super::{DELETED, FINISHED, Line};

/// A file that receipts are appended to. Several moves may append to one.
#[derive(Debug)]
pub(crate) struct ReceiptFile {
    file: Arc<File>,
    peer: String,
    directory: String,
    destination: String,
}

impl ReceiptFile {
    /// Opens the file, or makes it, for a move about `directory` of `peer` that goes to `destination`.
    /// A line that was cut off, by a crash or a full disk, is ended, so that the next one stands alone.
    ///
    /// # Errors
    /// It cannot be opened, made, or made durable.
    pub(crate) fn open(
        path: &Path,
        (peer, directory): (&str, &str),
        destination: &str,
    ) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        file.sync_all()?;
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(Self {
            file: Arc::new(file),
            peer: peer.to_owned(),
            directory: directory.to_owned(),
            destination: destination.to_owned(),
        })
    }

    fn lines<'a>(
        &self,
        event: &str,
        files: impl Iterator<Item = (&'a RelPath, &'a Record<'a>)>,
    ) -> serde_json::Result<Vec<u8>> {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let mut text = Vec::new();
        for (path, file) in files {
            let bytes = path.as_bytes();
            let utf8 = std::str::from_utf8(bytes);
            let line = Line {
                time: time.clone(),
                event: event.to_owned(),
                path: utf8.ok().map(str::to_owned),
                path_hex: utf8.is_err().then(|| hex(bytes)),
                bytes: file.bytes,
                hash: file.hash.to_string(),
                peer: self.peer.clone(),
                directory: self.directory.clone(),
                destination: Some(self.destination.clone()),
                run: file.run.to_string(),
            };
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
        }
        Ok(text)
    }

    /// Appends `text` in one write, so that lines of two moves do not mix; syncs it if that is asked.
    async fn append(&self, text: serde_json::Result<Vec<u8>>, sync: bool) -> Result<()> {
        let failed = |error: io::Error| Error::io("writing the receipts", error);
        let text = text.map_err(io::Error::from).map_err(failed)?;
        let file = Arc::clone(&self.file);
        let writing = tokio::task::spawn_blocking(move || {
            (&*file).write_all(&text)?;
            match sync {
                true => file.sync_data(),
                false => Ok(()),
            }
        });
        let written = writing
            .await
            .map_err(|error| Error::new(ErrorKind::Io, "writing the receipts").because(error))?;
        // Whatever it was, it is not the destination that is full, or refuses it.
        written.map_err(|error| failed(error).with_kind(ErrorKind::Io))
    }
}

#[async_trait]
impl Ledger for ReceiptFile {
    async fn finished(&self, files: &[Record<'_>]) -> Result<()> {
        let lines = self.lines(FINISHED, files.iter().map(|file| (file.destination, file)));
        self.append(lines, true).await
    }

    async fn deleted(&self, files: &[Record<'_>]) -> Result<()> {
        let lines = self.lines(DELETED, files.iter().map(|file| (file.source, file)));
        self.append(lines, false).await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use realize_core::hash::Digest;
    use realize_core::service::RunId;

    use super::super::read;
    use super::*;

    fn record<'a>(path: &'a RelPath, run: RunId) -> Record<'a> {
        Record {
            run,
            source: path,
            destination: path,
            bytes: 3,
            hash: Digest::of_content(b"abc"),
        }
    }

    #[tokio::test]
    async fn what_is_written_is_read_back_whatever_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("receipts");
        let names: [&[u8]; 3] = [b"plain", b"new\nline \"quoted\"", b"\xff\xfe/not utf-8"];
        let paths = names.map(|name| RelPath::new(name).unwrap());
        let run = RunId::random().unwrap();
        for path in &paths {
            let ledger = ReceiptFile::open(&file, ("nas", "inbox"), "nas:inbox").unwrap();
            ledger.finished(&[record(path, run)]).await.unwrap();
            ledger.deleted(&[record(path, run)]).await.unwrap();
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 6);
        assert!(text.lines().all(|line| line.contains(r#""peer":"nas""#)));
        let mut read = read(&file, "nas:inbox").unwrap().expected;
        read.sort_by(|one, other| one.path.cmp(&other.path));
        let mut expected = paths.to_vec();
        expected.sort();
        let found: Vec<_> = read.iter().map(|expected| expected.path.clone()).collect();
        assert_eq!(found, expected);
        assert!(read.iter().all(|file| file.bytes == 3));
        assert!(
            read.iter()
                .all(|file| file.hash == Digest::of_content(b"abc"))
        );
    }

    #[tokio::test]
    async fn a_line_that_was_cut_off_stands_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("receipts");
        std::fs::write(&file, r#"{"time":"2026-"#).unwrap();
        let path = RelPath::new("f").unwrap();
        let ledger = ReceiptFile::open(&file, ("local", "local"), "/there").unwrap();
        let run = RunId::random().unwrap();
        ledger.finished(&[record(&path, run)]).await.unwrap();
        assert_eq!(read(&file, "/there").unwrap().expected.len(), 1);
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_written_is_an_error() {
        let full = Path::new("/dev/full");
        let ledger = ReceiptFile {
            file: Arc::new(OpenOptions::new().append(true).open(full).unwrap()),
            peer: String::new(),
            directory: String::new(),
            destination: String::new(),
        };
        let path = RelPath::new("f").unwrap();
        let run = RunId::random().unwrap();
        let error = ledger.finished(&[record(&path, run)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }
}
