//! Two machines on one: `realized` serves directories, `realize` moves from and to them.

mod another;
mod check;
mod combinations;
mod commands;
mod corrupted;
mod cut;
mod documents;
mod keys;
mod killed;
mod limits;
mod log;
mod machines;
mod memory;
mod middle;
mod proxy;
mod reload;
mod retries;
mod rights;
mod settings;
mod ssh;
mod strangers;
mod subpaths;
mod systemd;
mod transports;
mod two;
