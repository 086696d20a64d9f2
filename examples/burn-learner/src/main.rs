//! Trains the digits and prints what the schedule did:
//! `cargo run --release -- [EPOCHS]`.

use burn_learner::{Setup, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut setup = Setup::default();
    if let Some(epochs) = std::env::args().nth(1) {
        setup.epochs = epochs.parse()?;
    }
    let folder = tempfile::tempdir()?;
    println!("epoch   lr at its end   of the head   validation loss   accuracy");
    for epoch in train(&setup, folder.path(), None)? {
        println!(
            "{:>5}   {:>13.3e}   {:>11.3e}   {:>15.4}   {:>6.2} %",
            epoch.number, epoch.body_lr, epoch.head_lr, epoch.loss, epoch.accuracy
        );
    }
    Ok(())
}
