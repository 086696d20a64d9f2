//! The promises of the loader, for many shapes of epochs.

use super::*;
use crate::{BatchInfo, BoxError, Collate, Dataset};
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;

/// Numbers from 0, with ids ten times as large; some can't be read.
struct Numbers {
    len: usize,
    corrupt: Vec<usize>,
    panics: Option<usize>,
}

impl Numbers {
    fn new(len: usize) -> Self {
        Self {
            len,
            corrupt: Vec::new(),
            panics: None,
        }
    }
}

impl Dataset for Numbers {
    type Item = usize;

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize) -> Result<usize, DataError> {
        assert_ne!(Some(index), self.panics, "number {index} is unlucky");
        if self.corrupt.contains(&index) {
            return Err(DataError::Empty {
                what: format!("number {index}"),
            });
        }
        Ok(index)
    }

    fn id(&self, index: usize) -> u64 {
        index as u64 * 10
    }
}

/// A batch that remembers everything it was made of.
type Seen = (Vec<(usize, u32, u32)>, BatchInfo);

struct Remember;

impl Collate<(usize, u32, u32)> for Remember {
    type Batch = Seen;

    fn collate(&self, samples: Vec<(usize, u32, u32)>, info: BatchInfo) -> Result<Seen, DataError> {
        Ok((samples, info))
    }
}

/// Draws from the key, and makes early samples slower than later ones so that
/// batches are finished out of order.
fn draw(number: usize, context: &SampleContext) -> Result<(usize, u32, u32), BoxError> {
    let spins = if number.is_multiple_of(7) { 2_000 } else { 10 };
    let word = (0..spins).fold(0, |_, i| context.key.word(i % 4));
    Ok((number, context.key.word(0) ^ word, context.occurrence))
}

fn loader(len: usize, config: &LoaderConfig) -> Loader<Seen> {
    LoaderBuilder::new(Numbers::new(len))
        .map(draw)
        .collate(Remember)
        .build(config)
        .unwrap()
}

fn read(epoch: Epoch<Seen>) -> Vec<Seen> {
    epoch.collect::<Result<_, _>>().unwrap()
}

#[test]
fn known_answers_of_the_order_and_of_the_keys() {
    let epoch = read(
        loader(6, &LoaderConfig::new(3).shuffled().with_seed(7))
            .epoch(2)
            .unwrap(),
    );
    let numbers: Vec<usize> = epoch.iter().flat_map(|b| &b.0).map(|s| s.0).collect();
    // From the specification: Key::from_seed(7).named("order").fold(2).rng().shuffle(0..6).
    let mut order: Vec<usize> = (0..6).collect();
    Key::from_seed(7)
        .named("order")
        .fold(2)
        .rng()
        .shuffle(&mut order);
    assert_eq!(numbers, order);
    let key = Key::from_seed(7)
        .named("sample")
        .fold(2)
        .fold(order[0] as u64 * 10);
    assert_eq!(epoch[0].0[0].1, key.word(0) ^ key.word(9 % 4));
}

#[test]
fn every_epoch_has_its_own_order_and_keys() {
    let loader = loader(50, &LoaderConfig::new(8).shuffled());
    let (first, second) = (
        read(loader.epoch(0).unwrap()),
        read(loader.epoch(1).unwrap()),
    );
    assert_ne!(first, second);
    assert_eq!(first, read(loader.epoch(0).unwrap()));
}

#[test]
fn repeated_samples_have_different_keys() {
    let order = Order::Repeated {
        times: 3,
        full: true,
    };
    let epoch = read(
        loader(5, &LoaderConfig::new(3).with_order(order))
            .epoch(0)
            .unwrap(),
    );
    assert_eq!(epoch.len(), 5);
    for (samples, _) in epoch {
        let [first, second, third] = samples[..] else {
            panic!("{samples:?}")
        };
        assert_eq!((first.0, first.2, second.2, third.2), (third.0, 0, 1, 2));
        assert!(first.1 != second.1 && second.1 != third.1);
    }
}

#[test]
fn epochs_can_be_read_at_the_same_time() {
    let loader = loader(40, &LoaderConfig::new(4).shuffled().with_workers(2));
    let alone: Vec<_> = (0..3).map(|e| read(loader.epoch(e).unwrap())).collect();
    let mut epochs: Vec<_> = (0..3).map(|e| loader.epoch(e).unwrap()).collect();
    let mut together = vec![Vec::new(); 3];
    for _ in 0..10 {
        for (epoch, seen) in epochs.iter_mut().zip(&mut together) {
            seen.push(epoch.next().unwrap().unwrap());
        }
    }
    assert_eq!(together, alone);
}

#[test]
fn a_panic_arrives_as_an_error_at_its_place() {
    for workers in [0, 1, 3] {
        let numbers = Numbers {
            panics: Some(13),
            ..Numbers::new(30)
        };
        let config = LoaderConfig::new(5).with_workers(workers);
        let loader = LoaderBuilder::new(numbers)
            .map(draw)
            .collate(Remember)
            .build(&config)
            .unwrap();
        let mut epoch = loader.epoch(0).unwrap();
        assert!(epoch.next().unwrap().is_ok() && epoch.next().unwrap().is_ok());
        let error = epoch.next().unwrap().unwrap_err();
        assert!(
            matches!(&error, DataError::Panic { id: 130, message, .. } if message.contains("unlucky")),
            "{error}"
        );
        assert!(epoch.next().is_none() && epoch.next().is_none());
        // The workers survive it.
        assert!(loader.epoch(1).unwrap().next().unwrap().is_ok());
    }
}

#[test]
fn an_error_of_a_map_names_the_sample() {
    fn fail(number: usize, context: &SampleContext) -> Result<(usize, u32, u32), BoxError> {
        if number == 4 {
            Err("no good".into())
        } else {
            draw(number, context)
        }
    }
    let config = LoaderConfig::new(5)
        .with_workers(2)
        .with_corrupt_policy(CorruptPolicy::Skip);
    let loader = LoaderBuilder::new(Numbers::new(10))
        .map(fail)
        .collate(Remember)
        .build(&config)
        .unwrap();
    let error = loader.epoch(3).unwrap().next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "mapping sample 40 in epoch 3: no good");
}

#[test]
fn corrupt_samples_end_the_epoch_or_are_skipped_and_reported() {
    let build = |policy| {
        let numbers = Numbers {
            corrupt: vec![1, 4, 5, 6, 7],
            ..Numbers::new(10)
        };
        let config = LoaderConfig::new(4)
            .with_workers(2)
            .with_corrupt_policy(policy);
        LoaderBuilder::new(numbers)
            .map(draw)
            .collate(Remember)
            .build(&config)
            .unwrap()
    };
    assert!(
        build(CorruptPolicy::Error)
            .epoch(0)
            .unwrap()
            .next()
            .unwrap()
            .is_err()
    );
    let loader = build(CorruptPolicy::Skip);
    let numbers: Vec<Vec<usize>> = read(loader.epoch(0).unwrap())
        .iter()
        .map(|b| b.0.iter().map(|s| s.0).collect())
        .collect();
    assert_eq!(numbers, [vec![0, 2, 3], vec![8, 9]]);
    let skipped = loader.skipped();
    assert_eq!(
        skipped.iter().map(|s| s.id).collect::<Vec<_>>(),
        [10, 40, 50, 60, 70]
    );
    assert!(skipped[0].reason.contains("number 1"));
}

/// Counts the batches that exist.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Count(Arc<AtomicUsize>, Arc<AtomicUsize>);

impl Collate<usize> for Count {
    type Batch = Counted;

    fn collate(&self, _: Vec<usize>, _: BatchInfo) -> Result<Counted, DataError> {
        let alive = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.1.fetch_max(alive, Ordering::SeqCst);
        Ok(Counted(Arc::clone(&self.0)))
    }
}

#[test]
fn no_more_batches_exist_than_prefetch_allows() {
    let (alive, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let config = LoaderConfig::new(1).with_workers(4).with_prefetch(3);
    let collate = Count(Arc::clone(&alive), Arc::clone(&most));
    let loader = LoaderBuilder::new(Numbers::new(400))
        .collate(collate)
        .build(&config)
        .unwrap();
    assert_eq!(loader.epoch(0).unwrap().filter(Result::is_ok).count(), 400);
    // Three in the queue and the one that the consumer holds.
    assert!(most.load(Ordering::SeqCst) <= 4, "{most:?}");
    drop(loader.epoch(1).unwrap().take(5).collect::<Vec<_>>());
    drop(loader);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn an_epoch_outlives_its_loader() {
    let loader = loader(20, &LoaderConfig::new(3).with_workers(2));
    let epoch = loader.epoch(0).unwrap();
    drop(loader);
    assert_eq!(read(epoch).len(), 7);
}

#[test]
fn maps_run_in_the_workers() {
    fn whoami(_: usize, _: &SampleContext) -> Result<ThreadId, BoxError> {
        Ok(std::thread::current().id())
    }
    struct First;
    impl Collate<ThreadId> for First {
        type Batch = ThreadId;
        fn collate(&self, samples: Vec<ThreadId>, _: BatchInfo) -> Result<ThreadId, DataError> {
            Ok(samples[0])
        }
    }
    for (workers, here) in [(0, true), (1, false)] {
        let config = LoaderConfig::new(2).with_workers(workers);
        let loader = LoaderBuilder::new(Numbers::new(2))
            .map(whoami)
            .collate(First)
            .build(&config)
            .unwrap();
        let id = loader.epoch(0).unwrap().next().unwrap().unwrap();
        assert_eq!(id == std::thread::current().id(), here);
    }
}

#[test]
fn weights_follow_their_samples() {
    let config = LoaderConfig::new(4).shuffled().with_workers(2);
    let weights: Vec<f32> = (0..10_u8).map(f32::from).collect();
    let build = |weights| {
        LoaderBuilder::new(Numbers::new(10))
            .map(draw)
            .collate(Remember)
            .weights(weights)
            .build(&config)
    };
    for (samples, info) in read(build(weights).unwrap().epoch(0).unwrap()) {
        let expected: Vec<f32> = samples.iter().map(|s| s.0 as f32).collect();
        assert_eq!(info.weights, Some(expected));
    }
    assert!(matches!(
        build(vec![1.0; 9]),
        Err(DataError::Mismatch { .. })
    ));
    assert!(matches!(
        build(vec![-1.0; 10]),
        Err(DataError::Config { .. })
    ));
}

#[test]
fn settings_out_of_range_are_refused() {
    for config in [
        LoaderConfig::new(0),
        LoaderConfig::new(1).with_workers(9999),
        LoaderConfig::new(1).with_prefetch(0),
        LoaderConfig::new(1).with_order(Order::Repeated {
            times: 0,
            full: false,
        }),
    ] {
        let built = LoaderBuilder::new(Numbers::new(3))
            .map(draw)
            .collate(Remember)
            .build(&config);
        assert!(matches!(built, Err(DataError::Config { .. })), "{config:?}");
    }
    let empty = LoaderBuilder::new(Numbers::new(0))
        .map(draw)
        .collate(Remember)
        .build(&LoaderConfig::new(1));
    assert!(matches!(empty, Err(DataError::Empty { .. })));
}

#[test]
fn a_sampler_that_names_a_missing_sample_is_an_error() {
    struct Wrong;
    impl Sampler for Wrong {
        fn order(&self, samples: usize, _: Key) -> Vec<usize> {
            vec![0, samples]
        }
    }
    let builder = LoaderBuilder::new(Numbers::new(3))
        .map(draw)
        .collate(Remember)
        .sampler(Wrong);
    let loader = builder.build(&LoaderConfig::new(2)).unwrap();
    assert!(loader.epoch(0).is_err());
}

#[test]
fn a_cursor_of_another_run_is_refused() {
    let config = LoaderConfig::new(4).shuffled().with_seed(1);
    let cursor = loader(20, &config).epoch(1).unwrap().cursor();
    let refusal = |len, config: &LoaderConfig| match loader(len, config).resume(&cursor) {
        Err(error) => error.to_string(),
        Ok(_) => String::new(),
    };
    assert_eq!(refusal(20, &config), "");
    assert!(refusal(21, &config).contains("the number of samples is 21 here and 20 in the cursor"));
    assert!(refusal(20, &LoaderConfig::new(5).shuffled().with_seed(1)).contains("batch size"));
    assert!(refusal(20, &LoaderConfig::new(4).shuffled().with_seed(2)).contains("digest of seed"));
    assert!(refusal(20, &LoaderConfig::new(4).with_seed(1)).contains("digest of seed"));
}

#[test]
fn throughput_counts_what_was_handed_out() {
    let loader = loader(10, &LoaderConfig::new(4).with_workers(1));
    read(loader.epoch(0).unwrap());
    let counts = loader.throughput();
    assert_eq!((counts.batches, counts.samples), (3, 10));
}

proptest! {
    #[test]
    fn slices_share_out_an_epoch(len in 1_usize..60, batch_size in 1_usize..9, cuts in (0_usize..70, 0_usize..70)) {
        let loader = loader(len, &LoaderConfig::new(batch_size).shuffled());
        let (first, second) = (cuts.0.min(cuts.1), cuts.0.max(cuts.1));
        let numbers = |loader: &Loader<Seen>| -> Vec<usize> {
            read(loader.epoch(1).unwrap()).iter().flat_map(|b| &b.0).map(|s| s.0).collect()
        };
        let parts = [loader.slice(0, first), loader.slice(first, second), loader.slice(second, 1000)];
        prop_assert_eq!(parts.iter().flat_map(numbers).collect::<Vec<_>>(), numbers(&loader));
        let nested = loader.slice(first, second).slice(1, 1000);
        prop_assert_eq!(numbers(&nested), numbers(&loader.slice(first + 1, second)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_epoch_is_the_same_for_any_number_of_workers(
        len in 1_usize..120, batch_size in 1_usize..20, seed: u64, epoch: u64,
        shuffled: bool, drop_last: bool, prefetch in 1_usize..6,
    ) {
        let mut config = LoaderConfig::new(batch_size).with_seed(seed).with_prefetch(prefetch);
        if shuffled { config = config.shuffled(); }
        if drop_last { config = config.with_drop_last(); }
        let alone = read(loader(len, &config).epoch(epoch).unwrap());
        for workers in [1, 2, 8] {
            prop_assert_eq!(&read(loader(len, &config.clone().with_workers(workers)).epoch(epoch).unwrap()), &alone);
        }
        let mut numbers: Vec<usize> = alone.iter().flat_map(|b| &b.0).map(|s| s.0).collect();
        let count = if drop_last { len / batch_size * batch_size } else { len };
        prop_assert_eq!(numbers.len(), count);
        numbers.sort_unstable();
        numbers.dedup();
        prop_assert_eq!(numbers.len(), count, "a sample came twice");
        prop_assert!(alone.iter().rev().skip(1).all(|b| b.0.len() == batch_size));
    }

    #[test]
    fn a_continued_epoch_equals_the_uninterrupted_one(
        len in 1_usize..80, batch_size in 1_usize..12, seed: u64, at in 0_usize..90,
        before in 0_usize..4, after in 0_usize..4,
    ) {
        let config = LoaderConfig::new(batch_size).shuffled().with_seed(seed);
        let whole = read(loader(len, &config).epoch(5).unwrap());
        let at = at.min(whole.len());
        let mut epoch = loader(len, &config.clone().with_workers(before)).epoch(5).unwrap();
        for expected in &whole[..at] {
            prop_assert_eq!(&epoch.next().unwrap().unwrap(), expected);
        }
        let saved = toml::to_string(&epoch.cursor()).unwrap();
        drop(epoch);
        let cursor: Cursor = toml::from_str(&saved).unwrap();
        let rest = loader(len, &config.with_workers(after)).resume(&cursor).unwrap();
        prop_assert_eq!(rest.position(), at);
        prop_assert_eq!(&read(rest), &whole[at..]);
    }
}
