//! A transform of a plugin as a transform of firecraft.

use std::sync::Arc;

use firecraft_augment::{
    AugmentError, External, Image, Opaque, Plan, Sample, SampleMeta, Size, Transform, Values,
};
use firecraft_key::Key;
use firecraft_plugin::abi::{self, Bytes, ClassFlags, Shape, Targets, TransformTable, View};
use firecraft_spec::{Spec, SpecError};

use crate::{
    ClassInfo, PluginError,
    class::Functions,
    instance::Instance,
    output::{Fenced, Output, dtype, not_finite},
    sink::Collector,
};

/// The largest plan that is taken from a plugin, in bytes.
const PLAN_LIMIT: usize = 1 << 20;
/// The largest image that a plan may announce, in pixels.
const AREA_LIMIT: u64 = 1 << 28;
/// The largest image that a plan may announce, in values.
const VALUE_LIMIT: u64 = 1 << 30;

/// A transform that a plugin implements.
///
/// Its plans are [`Opaque`] steps, across which nothing fuses. What comes back
/// from the plugin is checked: status, sizes, that numbers are finite, that
/// boxes are boxes and no more than there were. Where something is wrong, the
/// sample is as it was before; only what a type that works in place did to the
/// image can't be taken back.
#[derive(Debug, Clone)]
pub struct PluginTransform {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    instance: Instance,
    table: TransformTable,
    spec: Spec,
    checked: bool,
}

impl PluginTransform {
    /// Makes one from parameters, a JSON object; `spec` is what they came from.
    ///
    /// # Errors
    /// If the class is no transform, or refuses the parameters.
    pub(crate) fn new(
        class: Arc<ClassInfo>,
        params: &str,
        spec: Spec,
        checked: bool,
    ) -> Result<Self, PluginError> {
        let Functions::Transform(table) = class.functions else {
            return Err(class.wrong("it is not a transform"));
        };
        Ok(Self {
            inner: Arc::new(Inner {
                instance: Instance::new(class, params)?,
                table,
                spec,
                checked,
            }),
        })
    }
}

impl PluginTransform {
    pub(crate) fn table(&self) -> &TransformTable {
        &self.inner.table
    }

    pub(crate) fn instance(&self) -> &Instance {
        &self.inner.instance
    }
}

impl Transform for PluginTransform {
    fn name(&self) -> &'static str {
        self.inner.instance.class().name()
    }

    /// The plugin checked its parameters when the transform was made.
    fn validate(&self) -> Result<(), AugmentError> {
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        if meta.size.area() * meta.channels == 0 {
            return Ok(Plan::identity());
        }
        let (plan, size) = self
            .inner
            .plan(meta, key)
            .map_err(|e| self.inner.error(&e))?;
        let version = self.inner.instance.class().state_version();
        let author: Arc<dyn External> = self.inner.clone();
        Ok(Opaque::new(author, version, plan, meta.size, size).into())
    }

    fn spec(&self) -> Result<Spec, SpecError> {
        Ok(self.inner.spec.clone())
    }

    fn external(&self) -> Option<Arc<dyn External>> {
        Some(self.inner.clone())
    }
}

impl External for Inner {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn apply(&self, step: &Opaque, sample: &mut Sample) -> Result<(), AugmentError> {
        let class = self.instance.class();
        if step.version() != class.state_version() {
            return Err(self.error(&class.wrong(format!(
                "the plan is of version {}, this plugin's are of {}",
                step.version(),
                class.state_version()
            ))));
        }
        // A plan that was read from a file announces what the file says.
        self.check_announced(step.size(), sample.image.channels())
            .and_then(|()| self.apply(step, sample))
            .map_err(|error| self.error(&error))?
            .put(sample, step.size())
    }
}

impl Inner {
    fn error(&self, error: &PluginError) -> AugmentError {
        AugmentError::External {
            operation: self.instance.class().name().to_owned(),
            message: error.to_string(),
        }
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<(Vec<u8>, Size), PluginError> {
        let class = self.instance.class();
        let side = |n: usize| {
            u32::try_from(n).map_err(|_| class.wrong(format!("an image with a side of {n}")))
        };
        let (height, width) = (side(meta.size.height)?, side(meta.size.width)?);
        let before = Shape {
            height,
            width,
            channels: side(meta.channels)?,
        };
        let meta = abi::SampleMeta {
            size: size_of::<abi::SampleMeta>() as u32,
            height,
            width,
            channels: before.channels,
        };
        let (mut bytes, mut after) = (Collector::new(PLAN_LIMIT), before);
        let Some(plan) = self.table.plan else {
            return Err(class.wrong("its function `plan` is NULL"));
        };
        let words = key.words();
        self.instance.call("plan", |instance, error| {
            let sink = bytes.lend();
            // SAFETY: two words, a meta, a shape and two sinks that live as long
            // as the call, on an instance of this class.
            unsafe {
                plan(
                    instance,
                    words.as_ptr(),
                    &meta,
                    sink.as_ptr(),
                    &mut after,
                    error.as_ptr(),
                )
            }
        })?;
        let bytes = bytes
            .bytes()
            .ok_or_else(|| class.wrong(format!("its plan is larger than {PLAN_LIMIT} bytes")))?;
        let size = Size::new(after.height as usize, after.width as usize);
        self.check_announced(size, meta.channels as usize)?;
        if after.channels != before.channels {
            return Err(class.wrong(format!(
                "`plan` announces {} channels for an image of {}; the number must stay",
                after.channels, before.channels
            )));
        }
        Ok((bytes, size))
    }

    /// Whether there can be an image of the size that a plan announces.
    fn check_announced(&self, size: Size, channels: usize) -> Result<(), PluginError> {
        let (height, width) = (size.height as u64, size.width as u64);
        let area = height.checked_mul(width);
        let values = area.and_then(|area| area.checked_mul(channels as u64));
        if area.is_some_and(|area| (1..=AREA_LIMIT).contains(&area))
            && values.is_some_and(|values| values <= VALUE_LIMIT)
        {
            return Ok(());
        }
        Err(self.instance.class().wrong(format!(
            "`plan` announces an image of {height}x{width}x{channels}, expected 1 to 2^28 pixels \
             and at most 2^30 values"
        )))
    }

    fn apply(&self, step: &Opaque, sample: &mut Sample) -> Result<Changed, PluginError> {
        let class = self.instance.class();
        self.check_targets(sample)?;
        let (before, size) = (sample.image.size(), step.size());
        let in_place =
            class.flags().contains(ClassFlags::IN_PLACE) && before == size && !self.checked;

        let untouched = self
            .checked
            .then(|| (sample.image.clone(), sample.masks.clone()));
        let mut arrays = Arrays::of(sample, size, in_place, self.checked);
        let mut rows = Rows::of(sample, self.checked);
        let mut source_masks: Vec<View> = sample.masks.iter_mut().map(mask).collect();
        let mut target_masks: Vec<View> = match &mut arrays {
            Some(arrays) => arrays.masks(size),
            None => source_masks.clone(),
        };
        let image = view(&mut sample.image);
        let source = abi::Sample {
            image,
            masks: source_masks.as_mut_ptr(),
            mask_count: source_masks.len(),
            boxes: rows.boxes.source(),
            points: rows.points.source(),
            box_src: std::ptr::null_mut(),
            point_src: std::ptr::null_mut(),
            box_count: rows.boxes.len(),
            point_count: rows.points.len(),
        };
        let mut target = abi::Sample {
            image: match &mut arrays {
                Some(arrays) => arrays.image(size, sample.image.channels()),
                None => image,
            },
            masks: target_masks.as_mut_ptr(),
            boxes: rows.boxes.target(),
            points: rows.points.target(),
            box_src: rows.boxes.origins(),
            point_src: rows.points.origins(),
            box_count: 0,
            point_count: 0,
            ..source
        };
        let lent = (target, target_masks.clone());
        let Some(apply) = self.table.apply else {
            return Err(class.wrong("its function `apply` is NULL"));
        };
        let plan = Bytes::of(step.plan());
        let called = self.instance.call("apply", |instance, error| {
            // SAFETY: the arrays are as their views say and live as long as the
            // call; the destination is apart from the source, but for image and
            // masks of a class that is IN_PLACE.
            unsafe { apply(instance, 1, &plan, &source, &mut target, error.as_ptr()) }
        });
        if let Some((image, masks)) = untouched
            && (sample.image != image || sample.masks != masks)
        {
            (sample.image, sample.masks) = (image, masks);
            return Err(class.wrong("`apply` changed its source"));
        }
        called?;
        unchanged(&lent.0, &lent.1, &target, &target_masks)
            .map_err(|what| class.wrong(format!("`apply` changed {what}; views are read-only")))?;
        let outside = || class.wrong("`apply` wrote outside of its destination");
        let images = match arrays {
            Some(arrays) => {
                let channels = sample.image.channels();
                Some(arrays.finish(size, channels).ok_or_else(outside)?)
            }
            None => None,
        };
        let (boxes, points) = (
            rows.boxes.finish().ok_or_else(outside)?,
            rows.points.finish().ok_or_else(outside)?,
        );
        let image = images.as_ref().map_or(&sample.image, |(image, _)| image);
        if not_finite(image.values()) {
            return Err(class.wrong("`apply` left values in the image that are not finite"));
        }
        Ok(Changed {
            images,
            boxes: boxes
                .survivors(target.box_count)
                .map_err(|problem| class.wrong(format!("boxes: {problem}")))?,
            points: points
                .survivors(target.point_count)
                .map_err(|problem| class.wrong(format!("points: {problem}")))?,
        })
    }

    /// A target that the class can't move is an error, never left behind.
    fn check_targets(&self, sample: &Sample) -> Result<(), PluginError> {
        let class = self.instance.class();
        let there = [
            ("masks", !sample.masks.is_empty(), Targets::MASKS),
            ("boxes", sample.boxes.is_some(), Targets::BOXES),
            ("key points", sample.points.is_some(), Targets::POINTS),
        ];
        for (name, there, target) in there {
            if there && !class.targets().contains(target) {
                return Err(class.wrong(format!(
                    "the sample has {name}, which this transform can't move"
                )));
            }
        }
        let labels = |mask: &Image| mask.channels() == 1 && mask.as_u8().is_some();
        if !sample.masks.iter().all(labels) {
            return Err(class.wrong("plugins take masks of bytes with one channel"));
        }
        Ok(())
    }
}

/// New arrays for image and masks.
struct Arrays {
    image: Output,
    dtype: abi::DType,
    masks: Vec<Output>,
}

impl Arrays {
    /// `None` where the plugin works in place.
    fn of(sample: &Sample, size: Size, in_place: bool, checked: bool) -> Option<Self> {
        if in_place {
            return None;
        }
        let like = sample.image.values();
        let mask = |mask: &Image| Output::new(mask.values(), size.area(), checked);
        Some(Self {
            image: Output::new(like, size.area() * sample.image.channels(), checked),
            dtype: dtype(like),
            masks: sample.masks.iter().map(mask).collect(),
        })
    }

    fn image(&mut self, size: Size, channels: usize) -> View {
        let shape = [size.height, size.width, channels];
        View::row_major(self.image.start(), self.dtype, shape)
    }

    fn masks(&mut self, size: Size) -> Vec<View> {
        let view = |mask: &mut Output| {
            View::row_major(mask.start(), abi::DType::U8, [size.height, size.width])
        };
        self.masks.iter_mut().map(view).collect()
    }

    /// What the plugin wrote; `None` if something was written beside an array.
    fn finish(self, size: Size, channels: usize) -> Option<(Image, Vec<Image>)> {
        let image = rebuild(self.image.finish()?, size, channels)?;
        let mask = |mask: Output| rebuild(mask.finish()?, size, 1);
        let masks: Option<Vec<Image>> = self.masks.into_iter().map(mask).collect();
        Some((image, masks?))
    }
}

fn rebuild(values: Values, size: Size, channels: usize) -> Option<Image> {
    match values {
        Values::U8(bytes) => Image::from_u8(bytes, size, channels).ok(),
        Values::F32(floats) => Image::from_f32(floats, size, channels).ok(),
    }
}

fn view(image: &mut Image) -> View {
    let shape = [image.size().height, image.size().width, image.channels()];
    match image.values_mut() {
        Values::U8(bytes) => View::row_major(bytes.as_mut_ptr().cast(), abi::DType::U8, shape),
        Values::F32(floats) => View::row_major(floats.as_mut_ptr().cast(), abi::DType::F32, shape),
    }
}

fn mask(image: &mut Image) -> View {
    let shape = [image.size().height, image.size().width];
    match image.values_mut() {
        Values::U8(bytes) => View::row_major(bytes.as_mut_ptr().cast(), abi::DType::U8, shape),
        Values::F32(_) => View::NONE,
    }
}

/// Boxes and points as the ABI has them: before, and room for after.
struct Rows {
    boxes: Table<4>,
    points: Table<2>,
}

impl Rows {
    fn of(sample: &Sample, checked: bool) -> Self {
        let boxes = sample.boxes.as_ref().map(|boxes| boxes.rows.clone());
        let points = sample.points.as_ref().map(|points| points.rows.clone());
        Self {
            boxes: Table::new(boxes, checked),
            points: Table::new(points, checked),
        }
    }
}

struct Table<const D: usize> {
    before: Option<Vec<[f32; D]>>,
    after: Fenced<f32>,
    origins: Fenced<u32>,
}

impl<const D: usize> Table<D> {
    fn new(before: Option<Vec<[f32; D]>>, checked: bool) -> Self {
        let len = before.as_ref().map_or(0, Vec::len);
        let checked = checked && before.is_some();
        Self {
            before,
            after: Fenced::new(0.0, len * D, checked),
            origins: Fenced::new(u32::MAX, len, checked),
        }
    }

    fn len(&self) -> usize {
        self.origins.len()
    }

    fn source(&mut self) -> View {
        match &mut self.before {
            Some(rows) => floats::<D>(rows.as_flattened_mut().as_mut_ptr(), rows.len()),
            None => View::NONE,
        }
    }

    fn target(&mut self) -> View {
        let len = self.len();
        match &self.before {
            Some(_) => floats::<D>(self.after.start(), len),
            None => View::NONE,
        }
    }

    fn origins(&mut self) -> *mut u32 {
        self.origins.start()
    }

    /// What the plugin wrote, or `None` if it wrote beside it.
    fn finish(self) -> Option<Written<D>> {
        Some(Written {
            there: self.before.is_some(),
            rows: self.after.finish()?,
            origins: self.origins.finish()?,
        })
    }
}

fn floats<const D: usize>(data: *mut f32, rows: usize) -> View {
    View::row_major(data.cast(), abi::DType::F32, [rows, D])
}

/// What a plugin left in a table.
struct Written<const D: usize> {
    there: bool,
    rows: Vec<f32>,
    origins: Vec<u32>,
}

impl<const D: usize> Written<D> {
    /// The rows that survive with their origins.
    fn survivors(self, count: usize) -> Result<Option<Surviving<D>>, String> {
        let len = self.origins.len();
        if count > len {
            return Err(format!("`apply` reports {count} rows, there were {len}"));
        }
        if !self.there {
            return Ok(None);
        }
        let mut seen = vec![false; len];
        let mut from = Vec::with_capacity(count);
        for &origin in &self.origins[..count] {
            let origin = origin as usize;
            match seen.get_mut(origin) {
                Some(true) => return Err(format!("`apply` reports row {origin} twice")),
                Some(seen) => *seen = true,
                None => return Err(format!("`apply` reports row {origin} of {len}")),
            }
            from.push(origin);
        }
        let (rows, _) = self.rows.as_chunks();
        Ok(Some(Surviving {
            rows: rows[..count].to_vec(),
            from,
        }))
    }
}

struct Surviving<const D: usize> {
    rows: Vec<[f32; D]>,
    from: Vec<usize>,
}

/// What becomes of a sample.
struct Changed {
    /// Image and masks; `None` where they were changed in place.
    images: Option<(Image, Vec<Image>)>,
    boxes: Option<Surviving<4>>,
    points: Option<Surviving<2>>,
}

impl Changed {
    /// All of it, or nothing if a row is not one.
    fn put(self, sample: &mut Sample, size: Size) -> Result<(), AugmentError> {
        let (mut boxes, mut points) = (sample.boxes.clone(), sample.points.clone());
        if let (Some(boxes), Some(new)) = (&mut boxes, self.boxes) {
            boxes.replace(&new.rows, &new.from, size)?;
        }
        if let (Some(points), Some(new)) = (&mut points, self.points) {
            points.replace(&new.rows, &new.from, size)?;
        }
        (sample.boxes, sample.points) = (boxes, points);
        if let Some((image, masks)) = self.images {
            (sample.image, sample.masks) = (image, masks);
        }
        Ok(())
    }
}

/// Names the first view that is not what the plugin was lent.
fn unchanged(
    lent: &abi::Sample,
    lent_masks: &[View],
    back: &abi::Sample,
    back_masks: &[View],
) -> Result<(), &'static str> {
    let same = |a: &View, b: &View| {
        a.data == b.data
            && a.dtype == b.dtype
            && a.ndim == b.ndim
            && a.shape == b.shape
            && a.strides == b.strides
    };
    let masks = lent.masks == back.masks
        && lent.mask_count == back.mask_count
        && lent_masks.iter().zip(back_masks).all(|(a, b)| same(a, b));
    let views = [
        ("the image's view", same(&lent.image, &back.image)),
        ("the masks' views", masks),
        (
            "the boxes' view",
            same(&lent.boxes, &back.boxes) && lent.box_src == back.box_src,
        ),
        (
            "the points' view",
            same(&lent.points, &back.points) && lent.point_src == back.point_src,
        ),
    ];
    match views.into_iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(what),
        None => Ok(()),
    }
}
