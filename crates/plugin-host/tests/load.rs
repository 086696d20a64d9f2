//! Loading files: a real library, and everything that is not one.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use firecraft_plugin_host::{Plugin, PluginError, sha256};

mod support;

/// The smallest plugin there is, compiled into the folder.
fn minimal(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minimal.rs");
    compile(&source, folder)
}

/// Compiles a fixture, without dependencies and thus without cargo.
fn compile(source: &Path, folder: &Path) -> PathBuf {
    let library = folder.join(format!("plugin{}", std::env::consts::DLL_SUFFIX));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--edition", "2024", "--crate-type", "cdylib"])
        // So that what is loaded reaches almost to the end of the file.
        .args(["-C", "strip=symbols", "-o"])
        .args([&library, &source.to_path_buf()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    library
}

fn load(path: &Path) -> Result<Plugin, PluginError> {
    Plugin::load(path, None)
}

#[test]
fn a_library_with_its_own_copy_of_the_abi_loads() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = load(&minimal(folder.path())).unwrap();
    assert_eq!(
        (plugin.id(), plugin.version()),
        ("org.example.minimal", "0.1.0")
    );
    assert_eq!(plugin.classes().len(), 0);
}

#[test]
fn a_library_without_the_symbol_is_not_a_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("empty.rs");
    fs::write(&source, "").unwrap();
    let error = load(&compile(&source, folder.path())).unwrap_err();
    assert!(
        matches!(error, PluginError::MissingSymbol { .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("exports no `firecraft_plugin_entry`"),
        "{error}"
    );
}

#[test]
fn a_relative_path_is_refused_even_if_it_exists() {
    assert!(Path::new("Cargo.toml").exists());
    for path in ["Cargo.toml", "./Cargo.toml", "libplugin.so"] {
        let error = load(Path::new(path)).unwrap_err();
        assert!(matches!(error, PluginError::NotAbsolute { .. }), "{error}");
    }
}

#[test]
fn a_missing_file_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nothing.so");
    let error = load(&path).unwrap_err();
    assert!(matches!(error, PluginError::Io { .. }), "{error}");
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
}

#[test]
fn a_directory_is_not_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path()).unwrap_err();
    assert!(matches!(error, PluginError::NotAFile { .. }), "{error}");
}

#[test]
fn an_empty_a_truncated_and_a_text_file_are_not_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(minimal(folder.path())).unwrap();
    // Cut anywhere in what the loader maps, from the header to the last page.
    let cut = |thousandths: usize| whole[..whole.len() * thousandths / 1000].to_vec();
    let mut files = vec![("empty".to_owned(), Vec::new())];
    files.push(("text".to_owned(), b"hello".to_vec()));
    for thousandths in [1, 10, 100, 300, 500, 700, 900] {
        files.push((format!("cut {thousandths}"), cut(thousandths)));
    }
    for (name, bytes) in files {
        let path = folder.path().join(&name);
        fs::write(&path, bytes).unwrap();
        let error = load(&path).unwrap_err();
        assert!(
            matches!(error, PluginError::NotALibrary { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_library_of_another_architecture_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = minimal(folder.path());
    let mut bytes = fs::read(&path).unwrap();
    // e_machine: SPARC, on which none of this runs.
    bytes[18] = 2;
    bytes[19] = 0;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("another architecture"), "{error}");
}

#[test]
fn a_pin_is_compared_before_any_code_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = minimal(folder.path());
    let digest = sha256(&path).unwrap();
    assert_eq!(digest.len(), 64);
    Plugin::load(&path, Some(&digest)).unwrap();
    Plugin::load(&path, Some(&digest.to_uppercase())).unwrap();
    for wrong in ["", "00", &digest.replace(&digest[..4], "zzzz")] {
        let error = Plugin::load(&path, Some(wrong)).unwrap_err();
        assert!(matches!(error, PluginError::Pin { .. }), "{error}");
    }
}

#[cfg(unix)]
fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
#[cfg(unix)]
fn a_file_that_others_can_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = minimal(folder.path());
    for bits in [0o757, 0o775, 0o702] {
        mode(&path, bits);
        let error = load(&path).unwrap_err();
        assert!(matches!(error, PluginError::Untrusted { .. }), "{error}");
        assert!(error.to_string().contains("chmod go-w"), "{error}");
    }
    mode(&path, 0o500);
    load(&path).unwrap();
}

#[test]
#[cfg(unix)]
fn a_folder_above_that_others_can_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("open").join("closed");
    fs::create_dir_all(&inner).unwrap();
    let path = minimal(&inner);
    load(&path).unwrap();
    mode(&folder.path().join("open"), 0o777);
    let error = load(&path).unwrap_err();
    assert!(matches!(error, PluginError::Untrusted { .. }), "{error}");
    assert!(
        error.to_string().contains("open` can be written"),
        "{error}"
    );
    // Sticky, as /tmp is: nobody can exchange what belongs to another.
    mode(&folder.path().join("open"), 0o1777);
    load(&path).unwrap();
}

/// Runs only as root, who alone can give files away.
#[test]
#[cfg(unix)]
fn a_file_of_another_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = minimal(folder.path());
    if std::os::unix::fs::chown(&path, Some(4242), None).is_err() {
        return;
    }
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("belongs to user 4242"), "{error}");
}

#[test]
#[cfg(unix)]
fn a_link_to_a_plugin_is_followed_and_a_link_to_nothing_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = minimal(folder.path());
    let link = folder.path().join("link.so");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    load(&link).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(load(&link).unwrap_err(), PluginError::Io { .. }));
}

/// Whoever can write the folder of a link chooses what it leads to, among all
/// files that are trusted.
#[test]
#[cfg(unix)]
fn a_link_that_others_could_change_is_refused_wherever_it_leads() {
    use std::os::unix::fs::{lchown, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = minimal(folder.path());
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    symlink(&path, open.join("file.so")).unwrap();
    symlink(folder.path(), open.join("folder")).unwrap();
    let name = path.file_name().unwrap();
    let ways = [
        open.join("file.so"),
        open.join("folder").join(name),
        open.join("..").join("open").join("folder").join(name),
    ];
    for way in &ways {
        load(way).unwrap();
    }
    mode(&open, 0o777);
    for way in &ways {
        let error = load(way).unwrap_err();
        assert!(matches!(error, PluginError::Untrusted { .. }), "{error}");
        assert!(
            error.to_string().contains("open` can be written"),
            "{error}"
        );
    }
    // In a sticky folder the link itself may be another user's; only root can
    // give links away.
    mode(&open, 0o1777);
    load(&ways[0]).unwrap();
    if lchown(&ways[0], Some(4242), None).is_ok() {
        let error = load(&ways[0]).unwrap_err().to_string();
        assert!(error.contains("belongs to user 4242"), "{error}");
    }
}

#[test]
#[cfg(unix)]
fn links_in_a_circle_and_paths_through_files_are_errors() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let path = minimal(folder.path());
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    symlink(&two, &one).unwrap();
    symlink("one", &two).unwrap();
    for way in [one, path.join("more.so")] {
        let error = load(&way).unwrap_err();
        assert!(matches!(error, PluginError::Io { .. }), "{error}");
    }
}

#[test]
#[cfg(unix)]
fn a_pipe_is_refused_without_waiting_for_its_other_end() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.so");
    support::succeed(Command::new("mkfifo").arg(&pipe));
    let error = load(&pipe).unwrap_err();
    assert!(matches!(error, PluginError::NotAFile { .. }), "{error}");
}

/// One thread exchanges a link between a good file and one whose mere opening
/// leaves a trace, while the other loads the pinned good one.
#[test]
#[cfg(unix)]
fn a_link_that_is_swapped_while_loading_never_runs_the_other_file() {
    use std::{
        os::unix::fs::symlink,
        sync::atomic::{AtomicBool, Ordering},
    };
    let folder = tempfile::tempdir().unwrap();
    let good = minimal(folder.path());
    let digest = sha256(&good).unwrap();
    let trace = folder.path().join("trace");
    let evil = folder.path().join("evil.so");
    let source = folder.path().join("evil.c");
    let text = format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void run(void) {{ \
         FILE *f = fopen(\"{}\", \"w\"); if (f) fclose(f); }}",
        trace.display()
    );
    fs::write(&source, text).unwrap();
    support::compile(&source, &evil, &[]);

    let link = folder.path().join("swapped.so");
    symlink(&good, &link).unwrap();
    let stop = AtomicBool::new(false);
    let (mut loaded, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let next = folder.path().join("next");
            for turn in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let target = if turn.is_multiple_of(2) { &evil } else { &good };
                symlink(target, &next).unwrap();
                fs::rename(&next, &link).unwrap();
            }
        });
        for _ in 0..300 {
            match Plugin::load(&link, Some(&digest)) {
                Ok(plugin) => {
                    assert_eq!(plugin.id(), "org.example.minimal");
                    loaded += 1;
                }
                Err(PluginError::Pin { .. } | PluginError::Io { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(loaded > 0 && refused > 0, "{loaded} {refused}");
    assert!(!trace.exists());
    // The trace is left by opening, so that its absence above means something.
    assert!(matches!(
        load(&evil).unwrap_err(),
        PluginError::MissingSymbol { .. }
    ));
    assert!(trace.exists());
}

#[test]
fn what_was_loaded_does_not_change_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = minimal(folder.path());
    let plugin = load(&path).unwrap();
    // Overwritten in place, which would be the loaded library's own pages.
    let length = fs::metadata(&path).unwrap().len() as usize;
    fs::write(&path, vec![0; length]).unwrap();
    assert_eq!(plugin.id(), "org.example.minimal");
}
