//! What is in a data set:
//! `cargo run --release -p firecraft-data --example describe -- SET [PATH]`
//! with SET one of digits, mnist, fashion-mnist, cifar10, cifar100, folder.
#![allow(clippy::print_stdout)]

use firecraft_data::{
    BoxError, Cifar10, Cifar100, Dataset, Digits, FashionMnist, ImageDataset, ImageFiles, Labelled,
    Mnist, Normalizer, Part,
};
use std::path::Path;

fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let set = arguments.first().map_or("digits", String::as_str);
    let path = Path::new(arguments.get(1).map_or(".", String::as_str));
    if set == "folder" {
        let files = ImageFiles::from_folder(path)?;
        println!(
            "{} images of {:?}, {} other files",
            files.len(),
            files.class_names(),
            files.ignored().len()
        );
        return Ok(());
    }
    for part in [Part::Train, Part::Test] {
        let images: ImageDataset = match set {
            "digits" => Digits::load()?,
            "mnist" => Mnist::load(path, part)?,
            "fashion-mnist" => FashionMnist::load(path, part)?,
            "cifar10" => Cifar10::load(path, part)?,
            "cifar100" => Cifar100::load(path, part)?,
            other => return Err(format!("unknown data set `{other}`").into()),
        };
        println!(
            "{part:?}: {} images of {:?}, classes {:?}",
            images.len(),
            images.shape(),
            images.class_counts()
        );
        let normalizer = Normalizer::fit(&images)?;
        println!(
            "  mean {:?}, standard deviation {:?}",
            normalizer.mean(),
            normalizer.std()
        );
    }
    Ok(())
}
