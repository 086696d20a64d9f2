//! `firecraft plugin inspect`.

use std::path::PathBuf;

use clap::Args;
use firecraft::plugin_host::sha256;

use crate::error::CliError;

#[derive(Args)]
pub(super) struct Arguments {
    /// A shared library.
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let path = super::absolute(&arguments.file)?;
    let digest = sha256(&path)?;
    let plugin = super::load(&path)?;
    println!("id       {}", plugin.id());
    println!("version  {}", plugin.version());
    println!("ABI      1.{}", plugin.abi_minor());
    println!("sha256   {digest}");
    for class in plugin.classes() {
        println!("\n{} {}", super::kind(class), class.name());
        println!("  {}", class.summary());
        println!("  promises: {}", words(&class.promises()));
        if class.is_transform() {
            println!("  moves: {}", words(&class.moves()));
        }
        println!("  state version {}", class.state_version());
        for line in format!("{:#}", class.schema()).lines() {
            println!("  {line}");
        }
    }
    Ok(())
}

fn words(words: &[&str]) -> String {
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}
