//! Values that several candidates share.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::error::OculistError;

/// Values by name, of any type.
#[derive(Default)]
pub(super) struct Shared(RefCell<BTreeMap<String, Rc<dyn Any>>>);

impl Shared {
    /// The value of a name, computed if it is not there or is of another type.
    pub(super) fn get<T: 'static>(
        &self,
        name: &str,
        compute: impl FnOnce() -> Result<T, OculistError>,
    ) -> Result<Rc<T>, OculistError> {
        let known = self.0.borrow().get(name).cloned();
        if let Some(value) = known.and_then(|value| value.downcast().ok()) {
            return Ok(value);
        }
        let value = Rc::new(compute()?);
        self.0.borrow_mut().insert(name.to_owned(), value.clone());
        Ok(value)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.borrow().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_computed_once_and_a_failure_is_not_kept() {
        let shared = Shared::default();
        let stopped = || Err(OculistError::Stopped { resumable: false });
        assert!(shared.get::<u32>("n", stopped).is_err());
        assert_eq!(*shared.get("n", || Ok(3_u32)).unwrap(), 3);
        assert_eq!(*shared.get::<u32>("n", stopped).unwrap(), 3);
    }
}
