//! A directory tree that holds everything a mover is likely to get wrong, and the means to tell
//! whether it arrived.
//!
//! [`plant`] grows the tree, [`snapshot`] writes down what a tree holds, and [`diff`] says in words
//! how two snapshots differ. [`remains`] and [`reserved_names`] answer the two questions that follow
//! a move: is anything left at the source, and did a file under construction stay at the
//! destination.
//!
//! It knows nothing of realize beyond the names that realize keeps for itself.

mod plant;
mod snapshot;

pub use plant::{SPARSE_FILE, SPARSE_SIZE, bytes, plant, plant_compact, set_mode, set_modified};
pub use snapshot::{
    Kind, Node, Tree, content_hash, diff, is_reserved, remains, reserved_names, snapshot,
};
