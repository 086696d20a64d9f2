//! One registry per kind, behind one value that applications pass around.

use crate::{Kind, Registry, Spec, SpecError};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;

/// The registries of all kinds.
///
/// Each technique crate exposes `register(&mut Registries)`, which adds what it
/// has. See the crate's page for an example.
#[derive(Default)]
pub struct Registries {
    /// Each value is a `Registry<K>` under the id of `K`.
    by_kind: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl Registries {
    /// No registry at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry of kind `K`.
    ///
    /// # Errors
    /// [`SpecError::NoRegistry`] if nothing of this kind was registered.
    pub fn get<K: Kind>(&self) -> Result<&Registry<K>, SpecError> {
        self.by_kind
            .get(&TypeId::of::<K>())
            .and_then(|registry| registry.downcast_ref())
            .ok_or(SpecError::NoRegistry { kind: K::NAME })
    }

    /// The registry of kind `K`, made on the first call.
    pub fn get_mut<K: Kind>(&mut self) -> &mut Registry<K> {
        let slot = self
            .by_kind
            .entry(TypeId::of::<K>())
            .or_insert_with(|| Box::new(Registry::<K>::new()));
        match slot.downcast_mut() {
            Some(registry) => registry,
            None => unreachable!("the entry of a kind holds that kind's registry"),
        }
    }

    /// The object of kind `K` that `spec` describes.
    ///
    /// # Errors
    /// Those of [`Registries::get`] and [`Registry::build`].
    pub fn build<K: Kind>(&self, spec: &Spec) -> Result<Box<K::Object>, SpecError> {
        self.get::<K>()?.build(spec)
    }
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries")
            .field("kinds", &self.by_kind.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers;
    impl Kind for Numbers {
        type Object = f64;
        const NAME: &'static str = "number";
    }
    struct Words;
    impl Kind for Words {
        type Object = str;
        const NAME: &'static str = "word";
    }

    #[test]
    fn kinds_do_not_see_each_other() {
        let mut all = Registries::new();
        all.get_mut::<Numbers>()
            .register("pi", "", |_, _| Ok(Box::new(std::f64::consts::PI)))
            .unwrap();
        assert_eq!(
            *all.build::<Numbers>(&Spec::new("pi")).unwrap(),
            std::f64::consts::PI
        );
        assert_eq!(
            all.build::<Words>(&Spec::new("pi"))
                .unwrap_err()
                .to_string(),
            "no word is registered; call the `register` function of its crate first"
        );
        all.get_mut::<Words>();
        assert!(matches!(
            all.build::<Words>(&Spec::new("pi")),
            Err(SpecError::UnknownType { .. })
        ));
    }

    #[test]
    fn registries_are_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Registries>();
    }
}
