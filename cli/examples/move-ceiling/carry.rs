//! What a move does, with nothing around it: one file after the other is read, hashed, sent, written, read
//! back and compared, all are synced, and the sources are deleted.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter,
};

use crate::model::files_in;
use crate::{Fallible, Files};

/// How many bytes are read, sent, received and written at once.
const CHUNK: usize = 256 << 10;

/// Sends the files, and receives them, each in a task of its own, and deletes the sources when all
/// have arrived.
pub(crate) async fn carry(
    near: impl AsyncWrite + Unpin + Send + 'static,
    far: impl Future<Output = Fallible<impl AsyncRead + Unpin + Send + 'static>>,
    files: &Files,
) -> Fallible<()> {
    let sending = tokio::spawn(send(near, files.source.clone()));
    let receiving = tokio::spawn(receive(far.await?, files.destination.clone()));
    let sent = sending.await??;
    receiving.await??;
    for file in sent {
        fs::remove_file(files.source.join(file))?;
    }
    Ok(())
}

/// Reads, hashes and sends each file: the length of its path, that of its content, its mode and its
/// time; its path; its content; its hash. Returns what was sent.
async fn send(to: impl AsyncWrite + Unpin, source: PathBuf) -> Fallible<Vec<PathBuf>> {
    let mut to = BufWriter::with_capacity(CHUNK, to);
    let files = files_in(&source)?;
    let mut chunk = vec![0; CHUNK];
    for path in &files {
        let mut file = File::open(source.join(path))?;
        let metadata = file.metadata()?;
        let name = path.as_os_str().as_encoded_bytes();
        to.write_u16(u16::try_from(name.len())?).await?;
        to.write_u64(metadata.len()).await?;
        to.write_u32(metadata.mode()).await?;
        to.write_i64(metadata.mtime()).await?;
        to.write_all(name).await?;
        let mut hasher = blake3::Hasher::new();
        let mut left = metadata.len();
        while left > 0 {
            let bytes = part(&mut chunk, left);
            file.read_exact(bytes)?;
            hasher.update(bytes);
            to.write_all(bytes).await?;
            left -= bytes.len() as u64;
        }
        to.write_all(hasher.finalize().as_bytes()).await?;
    }
    to.shutdown().await?;
    Ok(files)
}

/// Receives each file, writes it, reads it back, compares the hashes, and gives it its name; syncs
/// all in the end.
async fn receive(from: impl AsyncRead + Unpin, destination: PathBuf) -> Fallible<()> {
    let mut from = BufReader::with_capacity(CHUNK, from);
    let partial = destination.join("partial");
    let mut chunk = vec![0; CHUNK];
    let mut made = HashSet::new();
    while !from.fill_buf().await?.is_empty() {
        let mut name = vec![0; from.read_u16().await?.into()];
        let (len, mode) = (from.read_u64().await?, from.read_u32().await?);
        let modified = u64::try_from(from.read_i64().await?)?;
        from.read_exact(&mut name).await?;
        let path = destination.join(OsStr::from_bytes(&name));
        let directory = path.parent().ok_or("no directory")?;
        if !made.contains(directory) {
            fs::create_dir_all(directory)?;
            made.insert(directory.to_owned());
        }
        let mut file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&partial)?;
        let mut left = len;
        while left > 0 {
            let bytes = part(&mut chunk, left);
            from.read_exact(bytes).await?;
            file.write_all(bytes)?;
            left -= bytes.len() as u64;
        }
        let mut hasher = blake3::Hasher::new();
        while left < len {
            let bytes = part(&mut chunk, len - left);
            file.read_exact_at(bytes, left)?;
            hasher.update(bytes);
            left += bytes.len() as u64;
        }
        let mut hash = [0; blake3::OUT_LEN];
        from.read_exact(&mut hash).await?;
        if hasher.finalize() != hash {
            return Err("what arrived is not what was sent".into());
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(modified))?;
        fs::rename(&partial, &path)?;
    }
    rustix::fs::syncfs(File::open(&destination)?)?;
    Ok(())
}

/// As much of `chunk` as is `left`.
fn part(chunk: &mut [u8], left: u64) -> &mut [u8] {
    let count = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
    chunk.split_at_mut(count).0
}
