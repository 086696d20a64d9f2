//! Times the resampling of a batch of 64 x 3 x 224 x 224 f32, per thread count.
//!
//! `cargo run --release -p firecraft-augment --no-default-features --example warp_batch`
#![allow(clippy::print_stdout)]

use firecraft_augment::{
    AugmentError, Compose, FillMode, LayerTransform, RandomFlipConfig, RandomRotationConfig,
    RandomTranslationConfig, RandomZoomConfig, SampleMeta, Size, Step, Warp, kernel::warp_batch,
};
use firecraft_key::Key;
use std::time::Instant;

fn main() -> Result<(), AugmentError> {
    let meta = SampleMeta {
        size: Size::new(224, 224),
        channels: 3,
    };
    let each = meta.size.area() * meta.channels;
    let images: Vec<f32> = (0..64 * each)
        .map(|i| (i * 37 % 256) as f32 / 255.0)
        .collect();
    let mut out = vec![0.0; images.len()];
    let chain = || {
        Compose::new()
            .with(RandomFlipConfig::new())
            .with(RandomRotationConfig::new(0.1).with_fill_mode(FillMode::Constant))
            .with(RandomTranslationConfig::new(0.1, 0.1).with_fill_mode(FillMode::Constant))
            .with(RandomZoomConfig::new(0.2).with_fill_mode(FillMode::Constant))
    };
    for (name, chain) in [("fused", chain()), ("one by one", chain().exact())] {
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let Ok(pool) = pool else { continue };
            let mut best = f64::INFINITY;
            for round in 0..7 {
                let start = Instant::now();
                let chains: Vec<Vec<Warp>> = (0..64)
                    .map(|row| chain.draw(&meta, Key::from_seed(round).fold(row)))
                    .map(|plan| plan.steps.into_iter().filter_map(warp).collect())
                    .collect();
                pool.install(|| warp_batch(&images, &mut out, meta.size, 3, &chains))?;
                best = best.min(start.elapsed().as_secs_f64());
            }
            println!("{name}, {threads} thread(s): {:.1} ms", best * 1e3);
        }
    }
    Ok(())
}

fn warp(step: Step) -> Option<Warp> {
    match step {
        Step::Warp(warp) => Some(warp),
        _ => None,
    }
}
