//! Draws one of each chart into the folder given as the argument.
#![allow(clippy::print_stdout)]

use firecraft_plot::{BarChart, Heatmap, ImageGrid, LineChart, Page, Scale, Series, sparkline};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "target/gallery".to_owned());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let charts = [
        ("schedule", schedule().to_svg()),
        ("loss", loss().to_svg()),
        ("seeds", seeds().to_svg()),
        ("many", many().to_svg()),
        ("layers", layers().to_svg()),
        ("ablation", ablation().to_svg()),
        ("confusion", confusion().to_svg()),
        ("matrix", matrix().to_svg()),
        (
            "empty",
            LineChart::new("A run that has not begun")
                .x_label("epoch")
                .to_svg(),
        ),
    ];
    for (name, svg) in &charts {
        std::fs::write(folder.join(format!("{name}.svg")), svg)?;
    }
    let mut grid = ImageGrid::new(8, 8).columns(8).scale(6);
    for t in 0..16_u8 {
        let tile: Vec<u8> = (0..64)
            .map(|p: u8| (p % 8 * 16).wrapping_add(p / 8 * t))
            .collect();
        grid.push(&tile, 1)?;
    }
    let mut page = Page::new("Gallery").subtitle("One of each chart of firecraft-plot");
    page.section("Curves")
        .charts(&[&charts[0].1, &charts[1].1])
        .chart(&charts[2].1, "Mean of five seeds, minimum to maximum.");
    page.section("Tables")
        .facts(&[("seed", "1"), ("device", "flex")]);
    page.table(
        &["epoch", "loss", "accuracy"],
        &[vec!["1", "0.61", "91.2"], vec!["2", "0.22", "96.8"]],
    );
    page.section("Matrix")
        .chart(&charts[6].1, "")
        .folded_code("recipe.toml", "seed = 1\n[norm]\ntype = \"batch\"");
    #[cfg(feature = "png")]
    {
        std::fs::write(folder.join("tiles.png"), grid.to_png()?)?;
        page.section("Pictures").image(
            &grid.to_data_uri()?,
            "sixteen gradients",
            "Tiles, enlarged six times.",
        );
        let mut mistakes = Vec::new();
        for truth in 0..5_u8 {
            let mut tile = ImageGrid::new(8, 8).scale(10).gap(0);
            let levels: Vec<u8> = (0..64_u8).map(|p| p.wrapping_mul(truth + 3)).collect();
            tile.push(&levels, 1)?;
            let caption = format!(
                "true {truth}, predicted {}\nloss {}.2",
                9 - truth,
                truth + 1
            );
            mistakes.push((tile.to_data_uri()?, caption));
        }
        page.section("Worst mistakes").tiles(&mistakes);
    }
    std::fs::write(folder.join("index.html"), page.to_html())?;
    let wave: Vec<f64> = (0..120).map(|i| (f64::from(i) / 9.0).sin()).collect();
    println!("{}\nwritten to {}", sparkline(&wave, 60), folder.display());
    Ok(())
}

fn schedule() -> LineChart {
    let lr = |u: f64| {
        if u < 1000.0 {
            0.003 * u / 1000.0
        } else {
            0.0015 * (1.0 + ((u - 1000.0) / 9000.0 * std::f64::consts::PI).cos())
        }
    };
    let points: Vec<_> = (0..=10_000)
        .map(|u| (f64::from(u), lr(f64::from(u))))
        .collect();
    LineChart::new("Warm-up and cosine decay")
        .x_label("update")
        .y_label("learning rate")
        .phase("warm-up", 0.0, 1000.0)
        .phase("cosine", 1000.0, 10_000.0)
        .series("lr", &points)
}

fn loss() -> LineChart {
    let curve = |a: f64, floor: f64| -> Vec<(f64, f64)> {
        (0..40)
            .map(|e| {
                (
                    f64::from(e),
                    floor + 2.2 * (-f64::from(e) * a).exp() + 0.01 * (f64::from(e) * 2.1).sin(),
                )
            })
            .collect()
    };
    let mut broken = curve(0.2, 0.08);
    broken[17].1 = f64::NAN;
    LineChart::new("Loss")
        .x_label("epoch")
        .y_label("cross-entropy")
        .y_scale(Scale::Log)
        .series("train", &curve(0.3, 0.02))
        .series("validation", &broken)
        .marker("best epoch", 31.0)
}

fn seeds() -> LineChart {
    let mut chart = LineChart::new("Validation accuracy of 5 seeds")
        .x_label("epoch")
        .y_label("accuracy (%)");
    for (i, name) in ["all techniques", "without norm", "without init"]
        .into_iter()
        .enumerate()
    {
        let k = i as f64;
        let mean: Vec<_> = (1..=20)
            .map(|e| {
                (
                    f64::from(e),
                    98.5 - k - (60.0 + 10.0 * k) * (-f64::from(e) * 0.4).exp(),
                )
            })
            .collect();
        let band: Vec<_> = mean
            .iter()
            .map(|&(x, y)| (x, y - 0.5 - k - 8.0 / x, (y + 0.4 + 4.0 / x).min(99.9)))
            .collect();
        chart = chart.curve(Series::new(name, &mean).band(&band).with_dots());
    }
    chart
}

fn many() -> LineChart {
    let mut chart = LineChart::new("Ten decays and a limit")
        .x_label("fraction of the run")
        .size(640, 360);
    for k in 1..=10 {
        let points: Vec<_> = (0..=50)
            .map(|i| f64::from(i) / 50.0)
            .map(|x| (x, (1.0 - x).powf(f64::from(k) / 2.0) * 1e-4))
            .collect();
        chart =
            chart.curve(Series::new(format!("power {}", f64::from(k) / 2.0), &points).stepped());
    }
    chart.curve(Series::new("limit", &[(0.0, 5e-5), (1.0, 5e-5)]).dashed())
}

fn layers() -> BarChart {
    let names = [
        "stem.conv",
        "block1.conv1",
        "block1.conv2",
        "block2.conv1",
        "block2.downsample.conv",
        "head.linear",
    ];
    let spread = |scale: f64| -> Vec<(f64, f64, f64)> {
        (0..6)
            .map(|i| scale.powi(i))
            .map(|v| (v, v * 0.6, v * 1.7))
            .collect()
    };
    BarChart::new("Signal at initialisation")
        .value_label("standard deviation of activations")
        .categories(names)
        .series_between("He normal", &spread(0.97))
        .series_between("N(0, 0.01)", &spread(0.25))
        .scale(Scale::Log)
        .reference("ideal", 1.0)
}

fn ablation() -> BarChart {
    BarChart::new("Epochs to 95 % validation accuracy")
        .value_label("epochs, mean and range of 5 seeds")
        .categories([
            "all techniques",
            "without norm",
            "without init",
            "without schedule",
            "without augment",
        ])
        .series_between(
            "epochs",
            &[
                (3.2, 3.0, 4.0),
                (7.4, 5.0, 11.0),
                (6.0, 5.0, 8.0),
                (3.4, 3.0, 4.0),
                (2.2, 2.0, 3.0),
            ],
        )
}

fn confusion() -> Heatmap {
    let mut counts = vec![vec![0_u64; 10]; 10];
    for (i, row) in counts.iter_mut().enumerate() {
        row[i] = 34 + (i as u64 * 7) % 4;
    }
    counts[8][1] = 2;
    counts[9][3] = 1;
    counts[1][8] = 5;
    Heatmap::confusion(
        "Test set: 7 mistakes of 360",
        (0..10).map(|d| d.to_string()),
        &counts,
    )
}

fn matrix() -> Heatmap {
    let rows: Vec<Vec<f64>> = (0..4)
        .map(|i| {
            (0..5)
                .map(|j| (f64::from(i) - f64::from(j)).abs() * 0.0371)
                .collect()
        })
        .collect();
    Heatmap::new(
        "Accuracy lost by magnitude and depth",
        ["none", "light", "medium", "heavy"],
        ["1 block", "2 blocks", "4 blocks", "8 blocks", "16 blocks"],
        &rows,
    )
    .labels("augmentation", "depth of the network")
}
