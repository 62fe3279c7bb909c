//! Services over a byte stream: what one machine asks of a directory on another.
//!
//! The messages of a [`Service`](realize_core::Service) have a form of their own here, so that the
//! protocol does not change when the core does. Each end makes them from the core's types, and
//! checks what it receives before it becomes one of them again.

#[allow(
    dead_code,
    unused_imports,
    reason = "the messages come before what sends them"
)]
mod wire;
