//! Times the resampling of a batch of 64 x 3 x 224 x 224 f32, per thread count,
//! and the same maps by burn's affine grid and grid sampling on flex.
//!
//! `cargo run --release -p firecraft-augment --example warp_batch`
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
    #[cfg(feature = "flex")]
    burn(&images, &chain(), &meta)?;
    Ok(())
}

/// The best time of `affine_grid_2d` and `grid_sample_2d`, which work on one
/// thread, and how far their result is from ours.
#[cfg(feature = "flex")]
fn burn(images: &[f32], chain: &Compose, meta: &SampleMeta) -> Result<(), AugmentError> {
    use burn::tensor::grid::affine_grid_2d;
    use burn::tensor::ops::{GridSampleOptions, GridSamplePaddingMode, InterpolateMode};
    use burn::tensor::{Device, Tensor, TensorData};
    use firecraft_augment::Matrix;

    let chains: Vec<Vec<Warp>> = (0..64)
        .map(|row| chain.draw(meta, Key::from_seed(0).fold(row)))
        .map(|plan| plan.steps.into_iter().filter_map(warp).collect())
        .collect();
    let mut ours = vec![0.0; images.len()];
    warp_batch(images, &mut ours, meta.size, 3, &chains)?;
    // From pixels to -1..=1 and back.
    let half = (meta.size.width as f64 - 1.0) / 2.0;
    let maps: Vec<f32> = chains
        .iter()
        .map(|chain| chain.first().map_or(Matrix::IDENTITY, |warp| warp.matrix))
        .flat_map(|matrix| {
            let [x, y, _] = matrix.rows();
            [x, y].map(|[a, b, c]| [a, b, a + b + c / half - 1.0])
        })
        .flatten()
        .map(|value| value as f32)
        .collect();
    let device = Device::flex();
    let dims = [64, 3, meta.size.height, meta.size.width];
    let maps = Tensor::<3>::from_data(TensorData::new(maps, [64, 2, 3]), &device);
    let images = Tensor::<4>::from_data(TensorData::new(images.to_vec(), dims), &device);
    let options = GridSampleOptions::new(InterpolateMode::Bilinear)
        .with_padding_mode(GridSamplePaddingMode::Zeros)
        .with_align_corners(true);
    let mut best = f64::INFINITY;
    let mut apart = 0.0_f32;
    for _ in 0..3 {
        let start = Instant::now();
        let grid = affine_grid_2d(maps.clone(), dims);
        let out = images.clone().grid_sample_2d(grid, options.clone());
        let out = out.into_data();
        best = best.min(start.elapsed().as_secs_f64());
        let out = out.as_slice::<f32>().unwrap_or_default();
        apart = out
            .iter()
            .zip(&ours)
            .map(|(a, b)| (a - b).abs())
            .fold(apart, f32::max);
    }
    println!(
        "burn's grid: {:.1} ms, at most {apart:.1e} from ours",
        best * 1e3
    );
    Ok(())
}

fn warp(step: Step) -> Option<Warp> {
    match step {
        Step::Warp(warp) => Some(warp),
        _ => None,
    }
}
