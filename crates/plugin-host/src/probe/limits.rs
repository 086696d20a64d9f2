//! Limits on this process.

use std::{io, time::Duration};

/// Limits the memory and the processor time of this process, for good: beyond
/// them it is ended or its allocations fail. For a process that was started
/// only to look at a plugin. On systems without such limits it does nothing.
///
/// # Errors
/// If the system refuses, as it does for limits above the present ones.
pub fn limit(memory: u64, time: Duration) -> io::Result<()> {
    system::limit(memory, time)
}

#[cfg(unix)]
mod system {
    use super::{Duration, io};

    pub(super) fn limit(memory: u64, time: Duration) -> io::Result<()> {
        // A core file of a plugin that crashed on purpose helps nobody.
        set(libc::RLIMIT_CORE, 0)?;
        set(libc::RLIMIT_AS, memory)?;
        set(libc::RLIMIT_CPU, time.as_secs().max(1))
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    type Resource = libc::__rlimit_resource_t;
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    type Resource = libc::c_int;

    fn set(resource: Resource, value: u64) -> io::Result<()> {
        let value = value as libc::rlim_t;
        let limit = libc::rlimit {
            rlim_cur: value,
            rlim_max: value,
        };
        // SAFETY: a limit that lives as long as the call.
        match unsafe { libc::setrlimit(resource, &limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(unix))]
mod system {
    use super::{Duration, io};

    pub(super) fn limit(_: u64, _: Duration) -> io::Result<()> {
        Ok(())
    }
}
