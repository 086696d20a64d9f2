//! Best-of-n times of what `peers/init.py` measures in torch, one `name
//! seconds` per line, each run into fresh memory as torch's is.
#![allow(missing_docs, clippy::print_stdout)]

use firecraft_init::{InitError, Initializer, Layout, Orthogonal, Target, VarianceScaling};
use firecraft_key::Key;
use std::time::Instant;

/// 50 M parameters.
const LARGE: [usize; 2] = [5000, 10_000];

fn time(name: &str, init: &dyn Initializer, shape: &[usize], runs: usize) -> Result<(), InitError> {
    let target = Target::new(shape, Layout::LINEAR);
    let mut times = Vec::with_capacity(runs);
    for run in 0..runs {
        let start = Instant::now();
        let values = init.values(&target, Key::from_seed(run as u64))?;
        times.push(start.elapsed().as_secs_f64());
        std::hint::black_box(values);
    }
    times.sort_by(f64::total_cmp);
    println!("{name} {:.6}", times[times.len() / 2]);
    Ok(())
}

fn main() -> Result<(), InitError> {
    time("he_normal_50M", &VarianceScaling::he_normal(), &LARGE, 9)?;
    time("he_uniform_50M", &VarianceScaling::he_uniform(), &LARGE, 9)?;
    time("orthogonal_1024", &Orthogonal::default(), &[1024, 1024], 9)
}
