//! Every function of a plugin, over and over: `soak CALLS LIBRARY…`. Under
//! valgrind it shows what the plugin or the host leaks or reads wrongly; alone
//! it compares what is allocated at half time and at the end.
#![allow(clippy::print_stdout, reason = "a program")]

use std::{error::Error, path::Path, sync::OnceLock};

use firecraft_augment::{Boxes, Image, Points, Sample, Size, Transform};
use firecraft_key::Key;
use firecraft_plugin_host::{ClassInfo, Plugin, probe};
use firecraft_schedule::{Scheduler, StepContext};
use firecraft_spec::Spec;

fn sample(floats: bool) -> Result<Sample, Box<dyn Error>> {
    let size = Size::new(8, 6);
    let image = if floats {
        Image::from_f32(vec![0.5; size.area() * 3], size, 3)?
    } else {
        Image::from_u8(vec![100; size.area() * 3], size, 3)?
    };
    let mut sample = Sample::new(image);
    sample.masks = vec![Image::from_u8(vec![1; size.area()], size, 1)?];
    sample.boxes = Some(Boxes::new(vec![[0.0, 0.0, 3.0, 3.0]]));
    sample.points = Some(Points::new(vec![[1.0, 1.0]]));
    Ok(sample)
}

/// Bytes that are allocated, by the count of the C library's allocator; 0 where
/// it doesn't count. Pages in memory would say less: the system drops and brings
/// back those of files as it likes.
#[allow(
    unsafe_code,
    reason = "the allocator's counters are behind a C function"
)]
fn allocated() -> usize {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: reads the allocator's counters.
        let info = unsafe { libc::mallinfo2() };
        info.uordblks + info.hblkhd
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    0
}

fn transform(plugin: &Plugin, spec: &Spec, call: u64) -> Result<(), Box<dyn Error>> {
    let transform = plugin.transform(spec)?;
    let mut sample = sample(call.is_multiple_of(2))?;
    let plan = transform.plan(&sample.meta(), Key::from_seed(call))?;
    plan.apply(&mut sample)?;
    Ok(())
}

fn scheduler(plugin: &Plugin, spec: &Spec, call: u64) -> Result<(), Box<dyn Error>> {
    let (mut first, mut second) = (plugin.scheduler(spec)?, plugin.scheduler(spec)?);
    first.step(&StepContext::at(call).with_metric(0.1), &mut [0.0; 2]);
    second.restore(&first.state())?;
    Ok(())
}

/// Makes and uses instances of a class `calls` times; gives what was allocated
/// at half time and at the end.
pub(crate) fn soak(plugin: &Plugin, spec: &Spec, calls: u64) -> Result<[usize; 2], Box<dyn Error>> {
    let class = plugin
        .classes()
        .find(|class| class.name() == spec.type_name);
    let is_transform = class.is_some_and(ClassInfo::is_transform);
    // Parameters that are refused, which must leave nothing either.
    let wrong = spec.clone().with("no_such_parameter", 1);
    let mut half = 0;
    for call in 0..calls {
        if call == calls / 2 {
            half = allocated();
        }
        if is_transform {
            transform(plugin, spec, call)?;
        } else {
            scheduler(plugin, spec, call)?;
        }
        let taken = || match is_transform {
            true => plugin.transform(&wrong).is_ok(),
            false => plugin.scheduler(&wrong).is_ok(),
        };
        if call.is_multiple_of(16) && taken() {
            return Err("a parameter that isn't one was taken".into());
        }
    }
    Ok([half, allocated()])
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let calls = arguments.next().and_then(|n| n.to_str()?.parse().ok());
    let calls: u64 = calls.ok_or("usage: soak CALLS LIBRARY…")?;
    let mut plugins = Vec::new();
    for path in arguments {
        plugins.push(Plugin::load(&std::path::absolute(Path::new(&path))?, None)?);
    }
    // Libraries stay until the process ends, and so do the names of their types;
    // reachable, so that they are not taken for leaks.
    static PLUGINS: OnceLock<Vec<Plugin>> = OnceLock::new();
    for plugin in PLUGINS.get_or_init(|| plugins) {
        for class in plugin.classes() {
            for spec in probe::examples(class) {
                let [half, end] = soak(plugin, &spec, calls)?;
                println!("{spec}: {calls} calls, {half} bytes at half time, {end} at the end");
            }
        }
    }
    Ok(())
}
