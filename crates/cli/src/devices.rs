//! `firecraft devices`: what `--device` and `FIRECRAFT_DEVICE` may name.

use firecraft::core_tensor::device;

use crate::error::CliError;

pub(crate) fn run() -> Result<(), CliError> {
    for name in device::available() {
        println!("{name}");
    }
    let missing: Vec<&str> = device::Backend::ALL
        .into_iter()
        .filter(|backend| !backend.is_compiled())
        .map(device::Backend::name)
        .collect();
    if !missing.is_empty() {
        println!("not compiled in: {}", missing.join(", "));
    }
    Ok(())
}
