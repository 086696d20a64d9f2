//! `cargo run --release -p custom-loop` trains once; with `-- lr-find [SVG]` it
//! looks for a learning rate, and with `-- compare [EPOCHS [SEEDS]]` it measures
//! which schedule does best.
#![allow(clippy::print_stdout)]

use custom_loop::{Error, Setup, compare, data, find_lr, run};
use firecraft_schedule::{LrFinderConfig, Suggestion, sparkline};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        None => train(),
        Some("compare") => {
            let mut number = |default: u64| arguments.next().map_or(Ok(default), |n| n.parse());
            let (epochs, seeds) = (number(10)?, number(5)?);
            println!("| schedule | peak | validation loss | validation accuracy |");
            println!("|---|---|---|---|");
            compare(epochs, &[0.3, 0.03], seeds, |row| println!("{row}"))?;
            Ok(())
        }
        Some("lr-find") => lr_find(arguments.next().as_deref()),
        Some(other) => {
            Err(format!("unknown command `{other}`; there are `lr-find` and `compare`").into())
        }
    }
}

fn train() -> Result<(), Error> {
    println!("epoch         lr  training loss  validation loss  accuracy");
    for epoch in run(&Setup::default(), &data()?)? {
        println!(
            "{:>5}  {:>9.3e}  {:>13.4}  {:>15.4}  {:>6.2} %",
            epoch.number,
            epoch.lr,
            epoch.train_loss,
            epoch.loss,
            100.0 * epoch.accuracy
        );
    }
    Ok(())
}

fn lr_find(svg: Option<&str>) -> Result<(), Error> {
    let config = LrFinderConfig::new().with_start(1e-5).with_smoothing(0.9);
    let finder = find_lr(&config, 1, &data()?)?;
    let losses: Vec<f64> = finder.curve().iter().map(|point| point.1).collect();
    println!("smoothed loss  {}", sparkline(&losses, 60));
    for how in Suggestion::ALL {
        if let Some(found) = finder.suggest(how) {
            println!("{:<13}  {:.2e}", how.name(), found.lr);
        }
    }
    if let Some(path) = svg {
        std::fs::write(path, finder.chart().to_svg())?;
    }
    Ok(())
}
