//! Two machines on one: `realized` serves directories, `realize` moves from and to them.

mod another;
mod combinations;
mod corrupted;
mod cut;
mod killed;
mod machines;
mod middle;
mod proxy;
mod two;
