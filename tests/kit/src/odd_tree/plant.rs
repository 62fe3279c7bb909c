//! Growing the odd tree.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};

/// The path of the sparse file in the odd tree.
pub const SPARSE_FILE: &str = "sparse/huge";
/// Its apparent size; what it stores is a thousandth of a percent of that.
pub const SPARSE_SIZE: u64 = 8 << 30;

/// How deep the deepest directory lies.
const DEPTH: usize = 60;

/// Grows the odd tree in the existing, empty directory `dir`, with `many` files in one directory.
///
/// The same call gives the same names, contents, modes and times every time.
///
/// # Errors
/// What the file system says, for instance that it cannot keep one of the names.
pub fn plant(dir: &Path, many: usize) -> io::Result<()> {
    Planter { root: dir }.sparse()?;
    plant_compact(dir, many)
}

/// Grows the same tree without [`SPARSE_FILE`], which takes longer than all the rest together where
/// every byte of it is hashed.
///
/// # Errors
/// What the file system says, for instance that it cannot keep one of the names.
pub fn plant_compact(dir: &Path, many: usize) -> io::Result<()> {
    let tree = Planter { root: dir };
    tree.contents()?;
    tree.links()?;
    tree.names()?;
    tree.times_and_modes()?;
    tree.own_names()?;
    for i in 0..many {
        tree.file(format!("many/{i:06}"), &bytes(i as u64, i % 700))?;
    }
    // Last: a parent that may not be written must already hold everything.
    tree.guarded_directories()
}

/// `len` bytes that look random and depend on `seed` alone.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        // The generator called SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Sets the time of the last change of `path` itself, not of what it points to.
///
/// # Errors
/// What the file system says.
pub fn set_modified(path: &Path, seconds: i64, nanos: u32) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanos.into(),
        },
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Sets the permission bits of `path`.
///
/// # Errors
/// What the file system says.
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

struct Planter<'a> {
    root: &'a Path,
}

impl Planter<'_> {
    fn directory(&self, path: impl AsRef<OsStr>) -> io::Result<PathBuf> {
        let path = self.root.join(path.as_ref());
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    fn file(&self, path: impl AsRef<OsStr>, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.root.join(path.as_ref());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content)?;
        Ok(path)
    }

    fn contents(&self) -> io::Result<()> {
        self.file("empty file", b"")?;
        self.file("one byte", b"x")?;
        self.file("content/three MiB", &bytes(3, 3 << 20))?;
        self.file("content/odd length", &bytes(4, 1_048_577))?;
        self.file("content/all zeros", &[0; 100_000])?;
        self.directory("empty directory/empty too")?;
        let file = File::create_new(self.directory("sparse")?.join("only a hole"))?;
        file.set_len(5_000_000)
    }

    fn sparse(&self) -> io::Result<()> {
        self.directory("sparse")?;
        let path = self.root.join(SPARSE_FILE);
        let file = File::create_new(path)?;
        file.set_len(SPARSE_SIZE)?;
        file.write_all_at(b"the beginning", 0)?;
        // Around the place where 32 bits end.
        file.write_all_at(&bytes(5, 64 << 10), (4 << 30) - 4096)?;
        file.write_all_at(b"near the end", SPARSE_SIZE - 100_000)
    }

    fn links(&self) -> io::Result<()> {
        self.directory("links/directory")?;
        self.file("links/target", b"pointed at")?;
        for (name, target) in [
            ("inward", "target"),
            ("outward", "../../../outside/of/the/tree"),
            ("dangling", "no such file"),
            ("to a directory", "directory"),
            ("absolute", "/etc/hostname"),
            ("to itself", "to itself"),
            ("upward", ".."),
        ] {
            symlink(target, self.root.join("links").join(name))?;
        }
        symlink(
            OsStr::from_bytes(b"not \xff UTF-8"),
            self.root.join("links/odd target"),
        )?;
        set_modified(
            &self.root.join("links/dangling"),
            1_000_000_001,
            123_456_789,
        )?;
        set_modified(&self.root.join("links/inward"), -5, 1)?;

        let two = self.file("hard links/a of two", b"two names")?;
        fs::hard_link(&two, self.root.join("hard links/b of two"))?;
        let three = self.file("hard links/a of three", &bytes(6, 200_000))?;
        fs::hard_link(&three, self.root.join("hard links/b of three"))?;
        self.directory("hard links/elsewhere")?;
        fs::hard_link(&three, self.root.join("hard links/elsewhere/c of three"))
    }

    fn names(&self) -> io::Result<()> {
        let longest = [b'n'; 255];
        let long_unicode = "\u{e9}".repeat(127);
        let names: [&[u8]; 22] = [
            &longest,
            long_unicode.as_bytes(),
            b"new\nline",
            b"carriage\rreturn",
            b"tab\there",
            b"'single' and \"double\" and `back`",
            b"\x1b]0;title\x07 and \x1b[31mred",
            b"\x01\x02\x7f",
            b"-rf",
            b"--help",
            b" leading and trailing space ",
            b"back\\slash and \\n",
            b"not UTF-8 \xff\xfe\x80",
            b"\xc3",
            "gr\u{fc}\u{df}e \u{65e5}\u{672c} \u{1f600}".as_bytes(),
            // The same text composed and decomposed: two names, not one.
            "caf\u{e9}".as_bytes(),
            "cafe\u{301}".as_bytes(),
            "reordered \u{202e}txt.exe".as_bytes(),
            b"*?[a-z]{x,y}!$&;|<>()#%",
            b"...",
            b"peer:directory",
            b"~",
        ];
        for (i, name) in names.iter().enumerate() {
            let mut path = b"names/".to_vec();
            path.extend_from_slice(name);
            self.file(OsStr::from_bytes(&path), format!("name {i}").as_bytes())?;
        }
        self.file(
            OsStr::from_bytes(b"names/directory \xff\n/file"),
            b"below an odd name",
        )?;
        let mut wide = longest.to_vec();
        wide.fill(b'd');
        wide.extend_from_slice(b"/file");
        self.file(OsStr::from_bytes(&wide), b"below a long name")?;

        let mut deep = PathBuf::new();
        for level in 1..=DEPTH {
            deep.push(format!("level {level}"));
        }
        self.file(deep.join("at the bottom"), b"deep")?;
        Ok(())
    }

    fn times_and_modes(&self) -> io::Result<()> {
        for (name, seconds, nanos) in [
            ("to the nanosecond", 1_700_000_000, 123_456_789),
            ("last nanosecond", 1_700_000_000, 999_999_999),
            ("zero", 0, 0),
            ("before 1970", -1_000_000_000, 1),
            ("just before 1970", -1, 999_999_999),
            ("in 2100", 4_102_444_800, 5),
        ] {
            let path = self.file(format!("times/{name}"), name.as_bytes())?;
            set_modified(&path, seconds, nanos)?;
        }
        for mode in [
            0o000, 0o200, 0o400, 0o440, 0o444, 0o500, 0o600, 0o664, 0o777,
        ] {
            let path = self.file(format!("modes/{mode:03o}"), &bytes(mode.into(), 99))?;
            set_modified(&path, 1_600_000_000 + i64::from(mode), mode)?;
            set_mode(&path, mode)?;
        }
        for (name, mode) in [("set-uid", 0o4755), ("set-gid", 0o2755), ("both", 0o6711)] {
            let path = self.file(format!("modes/{name}"), b"#!/bin/sh\n")?;
            set_mode(&path, mode)?;
        }
        Ok(())
    }

    /// Names of a user's own that look like those of a mover.
    fn own_names(&self) -> io::Result<()> {
        for name in [
            ".x.part",
            ".realize-notes",
            "foo.partial~",
            ".realize-.part",
            ".realize-0123456789abcdef.part",
            ".realize-0123456789ABCDEF0123456789ABCDEF.part",
            "0123456789abcdef0123456789abcdef.part",
            ".realize-source.lease.txt",
        ] {
            self.file(format!("own/{name}"), name.as_bytes())?;
            self.file(name, name.as_bytes())?;
        }
        Ok(())
    }

    fn guarded_directories(&self) -> io::Result<()> {
        for (name, mode) in [
            ("read-only", 0o555),
            ("private", 0o700),
            ("sticky", 0o1777),
            ("closed", 0o000),
        ] {
            let mut file = File::create(self.directory(format!("guarded/{name}"))?.join("file"))?;
            file.write_all(name.as_bytes())?;
            self.directory(format!("guarded/{name} and empty"))?;
            set_mode(&self.root.join(format!("guarded/{name}")), mode)?;
            set_mode(&self.root.join(format!("guarded/{name} and empty")), mode)?;
        }
        Ok(())
    }
}
