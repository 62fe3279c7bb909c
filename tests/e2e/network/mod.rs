//! Two machines on one: `realized` serves directories, `realize` moves from and to them.

mod check;
mod combinations;
mod commands;
mod cut;
mod documents;
mod keys;
mod killed;
mod machines;
mod memory;
mod proxy;
mod retries;
mod rights;
mod settings;
mod ssh;
mod subpaths;
mod systemd;
mod transports;
