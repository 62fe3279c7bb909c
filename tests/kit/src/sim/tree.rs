//! What a directory holds, all the way down, to compare.

use std::collections::BTreeMap;
use std::path::Path;

use realize_core::entry::Timestamp;
use realize_core::local::fs::Kind;

use super::SimFileSystem;
use super::content::Pages;
use super::disk::Disk;
use super::inode::{Body, Ino, Name};

/// The biggest file that a tree holds the bytes of.
const BYTES_MAX: u64 = 1 << 20;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its permission bits.
    pub mode: u32,
    /// When its content last changed.
    pub modified: Timestamp,
    /// What it holds.
    pub content: NodeContent,
}

/// What is in a [`Node`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeContent {
    /// A file's bytes.
    Bytes(Vec<u8>),
    /// A file of more than 1 MiB; two that read the same have the same, whatever is a hole.
    Digest {
        /// Its size.
        size: u64,
        /// A hash of what it holds.
        hash: [u8; 32],
    },
    /// A link's target.
    Target(Vec<u8>),
    /// Directories and special files hold nothing of their own.
    Nothing,
}

impl SimFileSystem {
    /// All that is below a directory, by relative path; empty if there is no such directory.
    #[must_use]
    pub fn tree(&self, path: impl AsRef<Path>) -> BTreeMap<Vec<u8>, Node> {
        let disk = self.disk();
        let mut tree = BTreeMap::new();
        if let Ok(ino) = disk.walk(path.as_ref(), true) {
            collect(&disk, ino, &[], &mut tree);
        }
        tree
    }

    /// The content of a file as [`tree`](Self::tree) has it.
    #[must_use]
    pub fn content(&self, path: impl AsRef<Path>) -> Option<NodeContent> {
        let disk = self.disk();
        let ino = disk.walk(path.as_ref(), false).ok()?;
        Some(content(&disk.inode(ino).body))
    }
}

fn collect(disk: &Disk, directory: Ino, prefix: &[u8], tree: &mut BTreeMap<Name, Node>) {
    let Ok(names) = disk.names(directory) else {
        return;
    };
    for (name, ino) in &names.live {
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            [prefix, name].join(&b'/')
        };
        collect(disk, *ino, &path, tree);
        let inode = disk.inode(*ino);
        let node = Node {
            kind: inode.kind(),
            mode: inode.live.mode,
            modified: inode.live.modified,
            content: content(&inode.body),
        };
        tree.insert(path, node);
    }
}

fn content(body: &Body) -> NodeContent {
    match body {
        Body::File(content) if content.live.size > BYTES_MAX => digest(&content.live),
        Body::File(content) => {
            let mut bytes = vec![0; content.live.size as usize];
            content.live.read(&mut bytes, 0);
            NodeContent::Bytes(bytes)
        }
        Body::Link(target) => NodeContent::Target(target.clone()),
        Body::Directory(_) | Body::Special(_) => NodeContent::Nothing,
    }
}

fn digest(pages: &Pages) -> NodeContent {
    let mut hasher = blake3::Hasher::new();
    for (index, page) in pages.nonzero() {
        hasher.update(&index.to_le_bytes());
        hasher.update(page);
    }
    NodeContent::Digest {
        size: pages.size,
        hash: *hasher.finalize().as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_everything_below() {
        let fs = SimFileSystem::new();
        fs.write("/r/d/f", "bytes");
        fs.write_at("/r/big", "end", 8 << 30);
        fs.set_size("/r/hole", 3);
        fs.symlink("../d", "/r/d/l");
        fs.special("/r/pipe", Kind::Fifo);
        fs.chmod("/r/d", 0o700);
        let modified = Timestamp {
            seconds: 1,
            nanos: 2,
        };
        fs.set_mtime("/r/d/f", modified);
        let tree = fs.tree("/r");
        let paths: Vec<&[u8]> = tree.keys().map(Vec::as_slice).collect();
        assert_eq!(paths, [&b"big"[..], b"d", b"d/f", b"d/l", b"hole", b"pipe"]);
        let content = NodeContent::Bytes(b"bytes".to_vec());
        let file = Node {
            kind: Kind::File,
            mode: 0o644,
            modified,
            content,
        };
        assert_eq!(tree[&b"d/f"[..]], file);
        assert_eq!(tree[&b"d"[..]].mode, 0o700);
        assert_eq!(
            tree[&b"d/l"[..]].content,
            NodeContent::Target(b"../d".to_vec())
        );
        assert_eq!(tree[&b"hole"[..]].content, NodeContent::Bytes(vec![0; 3]));
        assert_eq!(tree[&b"pipe"[..]].kind, Kind::Fifo);
        assert!(matches!(
            tree[&b"big"[..]].content,
            NodeContent::Digest { .. }
        ));
        assert_eq!(fs.content("/r/big").unwrap(), tree[&b"big"[..]].content);
        assert!(fs.tree("/none").is_empty());
    }
}
