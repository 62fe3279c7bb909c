//! What a run left, and what is expected of it.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use serde_json::Value;

/// What a run left: its `Display` is what every failed assertion shows.
pub(crate) struct Outcome {
    pub(super) line: Vec<OsString>,
    pub(super) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Outcome {
    /// The exit code, 128 and the number for a signal as shells have it.
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap())
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn expect_one_of(self, codes: &[i32]) -> Self {
        assert!(
            codes.contains(&self.code()),
            "exit code not one of {codes:?}: {self}"
        );
        self
    }

    pub(crate) fn stdout_text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap_or_else(|e| panic!("{e} on stdout: {self}"))
    }

    pub(crate) fn stderr_text(&self) -> &str {
        std::str::from_utf8(&self.stderr).unwrap_or_else(|e| panic!("{e} on stderr: {self}"))
    }

    /// Holds standard error to naming each of `parts`, in any case of letters.
    #[track_caller]
    pub(crate) fn says<S: AsRef<str>>(self, parts: &[S]) -> Self {
        let text = self.stderr_text().to_lowercase();
        for part in parts.iter().map(|part| part.as_ref().to_lowercase()) {
            assert!(text.contains(&part), "{part:?} is not on stderr: {self}");
        }
        self
    }

    /// The objects that `--json` printed, one a line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout_text()
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line:?}: {self}"))
            })
            .collect()
    }

    /// Holds it to an object that says that the file ended with `status` and had `content`.
    #[track_caller]
    pub(crate) fn has_ended(&self, path: &str, status: &str, content: &[u8]) {
        let object = self.json_file(path);
        assert_eq!(object["status"], status, "{self}");
        assert_eq!(object["bytes"], content.len(), "{self}");
        let hash = blake3::hash(content).to_hex();
        assert_eq!(object["hash"], hash.as_str(), "{self}");
    }

    /// The object for the file at `path`.
    #[track_caller]
    pub(crate) fn json_file(&self, path: &str) -> Value {
        self.json()
            .into_iter()
            .find(|object| object["event"] == "file" && object["path"] == path)
            .unwrap_or_else(|| panic!("no object for {path:?}: {self}"))
    }

    /// A number from the last object, the summary.
    #[track_caller]
    pub(crate) fn json_summary(&self, field: &str) -> u64 {
        let objects = self.json();
        let summary = objects
            .last()
            .unwrap_or_else(|| panic!("no summary: {self}"));
        assert_eq!(summary["event"], "summary", "the last object: {self}");
        summary[field]
            .as_u64()
            .unwrap_or_else(|| panic!("no {field} in the summary: {self}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} ended with {}", self.line, self.status)?;
        for (name, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            let skipped = text.lines().count().saturating_sub(60);
            writeln!(f, "---- {name} ({skipped} lines left out)")?;
            for line in text.lines().skip(skipped) {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}
