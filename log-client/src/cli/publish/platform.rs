//! `--platform` of a release: what each of its files is for.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use indelible_proto::record::{Platform, PlatformError};

use super::super::exit::Failure;

/// One `--platform`: of the file that it names, or of all that no other one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlatformArg {
    /// The end of the file's path: its name, or more of it.
    file: Option<PathBuf>,
    platform: Platform,
}

impl FromStr for PlatformArg {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // No platform has an equals sign; the name of a file may.
        let (file, platform) = match text.rsplit_once('=') {
            Some((file, platform)) => (Some(file.into()), platform),
            None => (None, text),
        };
        Ok(Self { file, platform: Platform::parse(platform)? })
    }
}

impl PlatformArg {
    fn names(&self, path: &Path) -> bool {
        // Every path ends with the empty one.
        self.file.as_ref().is_some_and(|file| !file.as_os_str().is_empty() && path.ends_with(file))
    }
}

/// The platform of each of `files`. Every argument has to name one of them, and of each there may be one word.
pub(super) fn platforms(files: &[PathBuf], args: &[PlatformArg]) -> Result<Vec<Option<Platform>>, Failure> {
    for arg in args {
        if let Some(file) = &arg.file
            && !files.iter().any(|path| arg.names(path))
        {
            let message = format!("--platform names {}, which is no file of the release", file.display());
            let next = "name a file as it is given, or by the end of its path";
            return Err(Failure::usage("platform-of-no-file", message, next));
        }
    }
    let of_the_others = only(args.iter().filter(|arg| arg.file.is_none()), "all files")?;
    let of_file = |path: &PathBuf| {
        let own = only(args.iter().filter(|arg| arg.names(path)), &path.display().to_string())?;
        Ok(own.or(of_the_others).map(|arg| arg.platform.clone()))
    };
    files.iter().map(of_file).collect()
}

/// The one argument there is, if there is one.
fn only<'a>(
    mut args: impl Iterator<Item = &'a PlatformArg>,
    what: &str,
) -> Result<Option<&'a PlatformArg>, Failure> {
    let first = args.next();
    if let (Some(first), Some(second)) = (first, args.next()) {
        let message = format!("{what}: two platforms, {} and {}", first.platform, second.platform);
        let next = "an artifact has one platform; leave --platform out of what is for several";
        return Err(Failure::usage("platform-twice", message, next));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[&str], args: &[&str]) -> Result<Vec<Option<String>>, &'static str> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let args: Vec<PlatformArg> = args.iter().map(|arg| arg.parse().unwrap()).collect();
        let platforms = platforms(&files, &args).map_err(|failure| failure.code)?;
        Ok(platforms.into_iter().map(|platform| platform.map(|it| it.as_str().to_owned())).collect())
    }

    fn some(platforms: &[&str]) -> Result<Vec<Option<String>>, &'static str> {
        Ok(platforms.iter().map(|text| (!text.is_empty()).then(|| (*text).to_owned())).collect())
    }

    #[test]
    fn one_word_for_all_files_and_others_for_single_ones() {
        let files = ["out/agent-x", "out/agent-arm", "notes"];
        assert_eq!(told(&files, &[]), some(&["", "", ""]));
        assert_eq!(told(&files, &["linux/amd64"]), some(&["linux/amd64"; 3]));
        assert_eq!(told(&files, &["agent-arm=linux/arm64"]), some(&["", "linux/arm64", ""]));
        let mixed = ["linux/amd64", "out/agent-arm=linux/arm64/v8"];
        assert_eq!(told(&files, &mixed), some(&["linux/amd64", "linux/arm64/v8", "linux/amd64"]));
    }

    #[test]
    fn a_file_is_named_by_whole_parts_of_its_path() {
        assert_eq!(told(&["out/agent"], &["out/agent=a/b"]), some(&["a/b"]));
        assert_eq!(told(&["/base/out/agent"], &["out/agent=a/b"]), some(&["a/b"]));
        assert_eq!(told(&["a=b/x=y"], &["x=y=a/b"]), some(&["a/b"]));
        for file in ["gent", "other", "out", "t/agent", ""] {
            assert_eq!(told(&["out/agent"], &[&format!("{file}=a/b")]), Err("platform-of-no-file"), "{file}");
        }
    }

    #[test]
    fn two_platforms_of_one_file_are_refused() {
        for args in [["a/b", "a/c"], ["a/b", "a/b"], ["x=a/b", "x=a/c"], ["x=a/b", "out/x=a/b"]] {
            assert_eq!(told(&["out/x", "y"], &args), Err("platform-twice"), "{args:?}");
        }
    }

    #[test]
    fn what_is_no_platform_is_none_of_a_file() {
        for text in ["", "x", "x=", "x=linux", "=linux", "x=linux/amd64=", "a/b/c/d", "Linux/amd64"] {
            assert!(text.parse::<PlatformArg>().is_err(), "{text}");
        }
    }
}
