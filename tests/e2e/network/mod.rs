//! Two machines on one: `realized` serves directories, `realize` moves from and to them.

mod check;
mod combinations;
mod commands;
mod documents;
mod keys;
mod machines;
mod memory;
mod retries;
mod rights;
mod settings;
mod subpaths;
