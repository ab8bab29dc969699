//! File systems in files, and cutting their power.
//!
//! A cut is the ioctl that ext4 and XFS have for it (`EXT4_IOC_SHUTDOWN` without a flush of the journal; the
//! same on XFS), sent by `xfs_io`: from one moment on nothing reaches the image, and what was not synced is
//! lost with the mount. Mounting again replays the file system's own journal, as after a real cut. What this
//! does not do: tear a sector, or lie about a sync as a bad drive does; rows of their own do.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// A file system that has a journal and knows the ioctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
}

impl FileSystem {
    pub(crate) const ALL: [Self; 2] = [Self::Ext4, Self::Xfs];

    /// Makes an empty one.
    pub(crate) fn make(self, image: &Path) -> Result<()> {
        // XFS takes no less than 300 MB. Only what is written takes room.
        const BYTES: u64 = 320 * 1024 * 1024;
        std::fs::File::create(image)?.set_len(BYTES)?;
        let (program, args): (_, &[&str]) = match self {
            Self::Ext4 => ("mkfs.ext4", &["-q", "-F"]),
            Self::Xfs => ("mkfs.xfs", &["-q", "-f"]),
        };
        run(Command::new(program).args(args).arg(image))
    }
}

/// What a machine or user lacks to mount file systems.
pub(crate) fn lacks_mounting() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("mounting a file system takes root".to_owned());
    }
    lacks_program(&["mount", "umount"])
}

/// What it lacks to make them and cut their power, too.
pub(crate) fn lacks_power_cuts() -> Option<String> {
    lacks_mounting().or_else(|| lacks_program(&["mkfs.ext4", "mkfs.xfs", "xfs_io"]))
}

fn lacks_program(programs: &[&str]) -> Option<String> {
    let missing = programs.iter().find(|program| !is_installed(program));
    missing.map(|program| format!("{program} is not installed (Debian: e2fsprogs, xfsprogs, mount)"))
}

/// Whether a program is there.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// In memory where there is such a place: the images are the disks, what is below them does not matter.
pub(crate) fn fast_dir() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    at: PathBuf,
    /// Sends the ioctl when it is told to. `None` where no power is cut.
    cutter: Option<Child>,
}

impl Mounted {
    /// Mounts an image at a directory, which is made.
    pub(crate) fn image(image: &Path, at: &Path) -> Result<Self> {
        Self::mount(&["-o", "loop"], image, at)
    }

    /// Mounts a file system in memory that has room for `bytes`.
    pub(crate) fn memory(bytes: u64, at: &Path) -> Result<Self> {
        let size = format!("size={bytes}");
        Self::mount(&["-t", "tmpfs", "-o", &size], Path::new("tmpfs"), at)
    }

    fn mount(options: &[&str], what: &Path, at: &Path) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        run(Command::new("mount").args(options).arg(what).arg(at))?;
        Ok(Self { at: at.to_owned(), cutter: None })
    }

    /// Gets ready to cut the power, so that the cut itself takes no time.
    pub(crate) fn arm(&mut self) -> Result<()> {
        let mut xfs_io = Command::new("xfs_io");
        xfs_io.arg("-x").arg(&self.at).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.cutter = Some(xfs_io.spawn().context("xfs_io can't be started")?);
        Ok(())
    }

    /// Cuts the power. Nothing reaches the disk any more when this returns.
    pub(crate) fn cut(&mut self) -> Result<()> {
        let mut cutter = self.cutter.take().context("it was armed")?;
        let mut stdin = cutter.stdin.take().context("its input is a pipe")?;
        stdin.write_all(b"shutdown\nquit\n")?;
        drop(stdin);
        ensure!(cutter.wait()?.success(), "xfs_io could not cut the power");
        // Everything that would have to reach the disk is refused from now on.
        let probe = std::fs::File::create(self.at.join("probe")).and_then(|probe| probe.sync_all());
        ensure!(probe.is_err(), "the power is not cut: a file was still synced");
        Ok(())
    }

    /// Gives a file system in memory another size.
    pub(crate) fn resize(&self, bytes: u64) -> Result<()> {
        run(Command::new("mount").args(["-o", &format!("remount,size={bytes}")]).arg(&self.at))
    }

    /// Unmounts it.
    pub(crate) fn unmount(mut self) -> Result<()> {
        self.stop_cutter();
        let at = std::mem::take(&mut self.at);
        run(Command::new("umount").arg(&at))
    }

    fn stop_cutter(&mut self) {
        if let Some(mut cutter) = self.cutter.take() {
            let _ = cutter.kill();
            let _ = cutter.wait();
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.stop_cutter();
        if !self.at.as_os_str().is_empty() {
            // Lazily, because a failed trial may have left someone in it.
            let _ = run(Command::new("umount").arg("--lazy").arg(&self.at));
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} can't be started"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
