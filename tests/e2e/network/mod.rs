//! Two machines on one: `realized` serves directories, `realize` moves from and to them.

mod combinations;
mod cut;
mod killed;
mod machines;
mod proxy;
