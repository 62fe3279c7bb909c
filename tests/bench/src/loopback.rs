//! What passes the loopback.

use std::fs;

use crate::Failure;

/// Bytes that have passed the loopback since the machine started, both ways, with all that protocols
/// add. What other programs send in between counts too.
pub(crate) fn bytes() -> Result<u64, Failure> {
    let table = fs::read_to_string("/proc/net/dev")?;
    let received = table.lines().find_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        (name.trim() == "lo").then(|| numbers.split_whitespace().next()?.parse().ok())?
    });
    received.ok_or_else(|| "/proc/net/dev knows no loopback".into())
}
