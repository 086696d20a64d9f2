//! `firecraft preview`: what transforms do, before any training.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use firecraft::augment::{Compose, Image, Sample, Size, Transform, Transforms};
use firecraft::augment::{preview_sample, test_card};
use firecraft::data::{Channels, decode_image};
use firecraft::key::Key;
use firecraft::plot::ImageGrid;
use firecraft::spec::{Registry, Spec};
use serde::Deserialize;

use crate::error::CliError;

#[derive(Args)]
pub(crate) struct Arguments {
    /// A TOML file with the spec of a transform (`type = "random_rotation"`
    /// and so on), or a recipe with a list `augment`.
    spec: PathBuf,
    /// A JPEG or PNG file; a test card with boxes, points and a mask if there
    /// is none.
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Variants beside each picture.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    variants: u16,
    /// Height and width of a picture in pixels.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(8..=1024))]
    tile: u16,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A row for each transform of the list, in place of one for all together.
    #[arg(long)]
    each: bool,
    /// Where to write the picture.
    #[arg(long, short, value_name = "FILE", default_value = "preview.png")]
    out: PathBuf,
}

/// The part of a recipe that is read here.
#[derive(Deserialize)]
struct Recipe {
    augment: Vec<Spec>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let registries = firecraft::registries()?;
    let transforms = transforms(arguments, registries.get::<Transforms>()?)?;
    let tile = Size::new(arguments.tile.into(), arguments.tile.into());
    let samples = match &arguments.image[..] {
        [] => vec![test_card(Size::new(tile.height * 3 / 4, tile.width))],
        files => files
            .iter()
            .map(|file| sample(file))
            .collect::<Result<_, _>>()?,
    };
    let variants = usize::from(arguments.variants);
    let mut grid = ImageGrid::new(tile.width, tile.height).columns(variants + 1);
    let key = Key::from_seed(arguments.seed);
    for transform in &transforms {
        for (i, sample) in samples.iter().enumerate() {
            let key = key.fold(i as u64);
            for tile in preview_sample(sample, &**transform, variants, tile, key)?.tiles {
                grid.push(&tile, 3)?;
            }
        }
    }
    let out = &arguments.out;
    fs::write(out, grid.to_png()?).map_err(|source| CliError::Write {
        path: out.clone(),
        source,
    })?;
    println!(
        "{}: {} pictures, each with {variants} variants",
        out.display(),
        transforms.len() * samples.len()
    );
    Ok(())
}

fn transforms(
    arguments: &Arguments,
    registry: &Registry<Transforms>,
) -> Result<Vec<Box<dyn Transform>>, CliError> {
    let specs = read(&arguments.spec)?;
    if arguments.each {
        let build = |(i, spec)| registry.build(spec).map_err(|error| error.at(i));
        return Ok(specs
            .iter()
            .enumerate()
            .map(build)
            .collect::<Result<_, _>>()?);
    }
    Ok(vec![Box::new(Compose::from_specs(&specs, registry)?)])
}

/// The transforms of a recipe, or the one that the file describes.
fn read(path: &Path) -> Result<Vec<Spec>, CliError> {
    let text = fs::read_to_string(path).map_err(|source| CliError::Read {
        path: path.to_owned(),
        source,
    })?;
    let parse = |error: toml::de::Error| CliError::Parse {
        path: path.to_owned(),
        message: error.message().to_owned(),
    };
    let table: toml::Table = toml::from_str(&text).map_err(parse)?;
    if table.contains_key("augment") {
        let recipe: Recipe = toml::from_str(&text).map_err(parse)?;
        Ok(recipe.augment)
    } else {
        Ok(vec![toml::from_str(&text).map_err(parse)?])
    }
}

fn sample(path: &Path) -> Result<Sample, CliError> {
    let bytes = fs::read(path).map_err(|source| CliError::ReadImage {
        path: path.to_owned(),
        source,
    })?;
    let name = path.display().to_string();
    let (levels, [height, width, channels]) = decode_image(&name, &bytes, Channels::Rgb)?;
    Ok(Sample::new(Image::from_u8(
        levels,
        Size::new(height, width),
        channels,
    )?))
}
