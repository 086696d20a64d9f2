//! Images per second that the loader reads from an image folder, by number of
//! workers: `cargo run --release -p firecraft-data --example throughput -- FOLDER`.
#![allow(clippy::print_stdout)]

use firecraft_data::{
    BoxError, Dataset, ImageFiles, ImageSample, LoaderBuilder, LoaderConfig, Pixels, SampleContext,
};
use std::sync::Arc;
use std::time::Instant;

/// Cuts out the middle: the cheapest way to one size.
fn crop(sample: ImageSample, _: &SampleContext) -> Result<ImageSample, BoxError> {
    const SIDE: usize = 160;
    let Pixels::U8(levels) = &sample.pixels else {
        return Err("levels expected".into());
    };
    if sample.height < SIDE || sample.width < SIDE {
        return Err(format!("{}x{} is too small", sample.width, sample.height).into());
    }
    let (top, left) = ((sample.height - SIDE) / 2, (sample.width - SIDE) / 2);
    let row = |y: usize| {
        let start = ((top + y) * sample.width + left) * sample.channels;
        &levels[start..start + SIDE * sample.channels]
    };
    let pixels = Pixels::U8((0..SIDE).flat_map(row).copied().collect());
    Ok(ImageSample {
        pixels,
        height: SIDE,
        width: SIDE,
        ..sample
    })
}

fn main() -> Result<(), BoxError> {
    let folder = std::env::args().nth(1).ok_or("pass an image folder")?;
    let files = Arc::new(ImageFiles::from_folder(folder)?);
    for index in 0..files.len() {
        files.get(index)?;
    }
    println!("{} images, all readable", files.len());
    for workers in [0, 1, 2, 4] {
        let config = LoaderConfig::new(32).shuffled().with_workers(workers);
        let loader = LoaderBuilder::new(Arc::clone(&files))
            .map(crop)
            .build(&config)?;
        let mut best = 0.0_f64;
        for epoch in 0..3 {
            let start = Instant::now();
            let mut samples = 0;
            for batch in loader.epoch(epoch)? {
                samples += batch?.len();
            }
            best = best.max(samples as f64 / start.elapsed().as_secs_f64());
        }
        println!("{workers} workers: {best:.0} images/s, best of three epochs");
    }
    Ok(())
}
