//! What systemd's journal reads: the level before each line, in the numbers of syslog, and no time.

use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::os::fd::AsFd;

use rustix::fs::fstat;
use tracing::Level;

/// Whether the journal reads what is written to `file`, where `variable` is what systemd has put into
/// `JOURNAL_STREAM`: the device and the inode of its own end. A program that was started by a service
/// may have the variable, and another file.
pub(super) fn reads(file: impl AsFd, variable: Option<&OsStr>) -> bool {
    let numbers = || {
        let (device, inode) = variable?.to_str()?.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    };
    let Some((device, inode)) = numbers() else {
        return false;
    };
    fstat(file).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (device, inode))
}

/// Begins a line of `level`.
pub(super) fn begin(out: &mut dyn Write, level: Level) -> fmt::Result {
    out.write_str(match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rstest::rstest;

    use super::*;

    #[test]
    fn the_journal_is_known_by_its_device_and_inode() {
        let [file, other] = [0; 2].map(|_| tempfile::tempfile().unwrap());
        let stat = file.metadata().unwrap();
        let variable = format!("{}:{}", stat.dev(), stat.ino());
        let variable = Some(OsStr::new(&variable));
        assert!(reads(&file, variable));
        assert!(!reads(&other, variable));
        assert!(!reads(&file, None));
    }

    #[rstest]
    #[case("")]
    #[case("8")]
    #[case(":")]
    #[case("8:")]
    #[case("x:y")]
    #[case("8:9:10")]
    #[case("-1:18446744073709551616")]
    fn a_variable_that_is_none_is_no_journal(#[case] variable: &str) {
        let file = tempfile::tempfile().unwrap();
        assert!(!reads(&file, Some(OsStr::new(variable))));
    }
}
