//! The file of a run, event by event.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::EventError;
use crate::hparams::{HParam, Outcome, experiment, session_end, session_start};
use crate::name::{self, Origin};
use crate::picture;
use crate::proto::{
    Data, Event, PluginData, SessionLog, SourceMetadata, Summary, SummaryMetadata, SummaryValue, TensorProto,
    TensorShapeProto, What,
};
use crate::record::{MAX_EVENT_BYTES, Records};

/// The version of the format; from 2 on, readers look for a START to learn which steps are written again.
const FILE_VERSION: &str = "brain.Event:2";
/// `SessionLog.SessionStatus.START`.
const START: i32 = 1;
/// `DataType` of text.
const DT_STRING: i32 = 7;

/// Appends events to a file that TensorBoard may be reading.
///
/// Each call writes one record at once, so that it is there for readers and survives the end of this process; [`flush`]
/// makes it survive the end of the machine. A step is any count that grows, such as that of epochs; a time is when the
/// value was known.
///
/// [`flush`]: Self::flush
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    records: Records<File>,
}

impl EventWriter {
    /// Begins the events of a run in a folder of its own, which is made if it is missing.
    ///
    /// # Errors
    /// [`EventError::Occupied`] if there are event files already, since readers would take them for parts of this run;
    /// [`EventError::Folder`] and [`EventError::Write`] if nothing can be written there.
    pub fn create(folder: &Path, origin: &Origin, now: SystemTime) -> Result<Self, EventError> {
        let in_folder = |cause| EventError::Folder { path: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(in_folder)?;
        if let Some(file) = name::last(folder).map_err(in_folder)? {
            return Err(EventError::Occupied { path: folder.to_owned(), file });
        }
        Self::begin(folder, origin, now, 0)
    }

    /// Goes on with the events of a run that was stopped, in a further file.
    ///
    /// `first_step` is the first step that is written from here on; readers forget what earlier files hold of it and of later
    /// steps. (TensorBoard's fast loader, `tensorboard_data_server`, does so for a series only once that is written again.) The
    /// earlier files are left as they are: one that ends in half a record is read up to there. Without earlier files this begins
    /// the run.
    ///
    /// # Errors
    /// [`EventError::Folder`] and [`EventError::Write`] if nothing can be written there, or if there is an event file whose
    /// name puts it after any that can be made.
    ///
    /// # Source
    /// `_CheckForRestartAndMaybePurge` in TensorBoard's `plugin_event_accumulator.py`.
    pub fn resume(
        folder: &Path,
        origin: &Origin,
        now: SystemTime,
        first_step: u64,
    ) -> Result<Self, EventError> {
        fs::create_dir_all(folder).map_err(|cause| EventError::Folder { path: folder.to_owned(), cause })?;
        let step = step_of(first_step).map_err(|problem| EventError::Value {
            path: folder.to_owned(),
            tag: "START".into(),
            problem,
        })?;
        Self::begin(folder, origin, now, step)
    }

    /// A new file with its first two records.
    fn begin(folder: &Path, origin: &Origin, now: SystemTime, first_step: i64) -> Result<Self, EventError> {
        let name = name::next(folder, origin, now)
            .map_err(|cause| EventError::Folder { path: folder.to_owned(), cause })?;
        let path = folder.join(name);
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.map_err(|cause| EventError::Write { path: path.clone(), cause })?;
        oculist_files::sync_folder(folder);
        let mut writer = Self { path, records: Records::new(file) };
        if let Err(error) = writer.announce(now, first_step) {
            // The first error is the one to tell. A file without these records would only be in the way of another try.
            let _ = fs::remove_file(&writer.path);
            return Err(error);
        }
        Ok(writer)
    }

    /// The two records that every file begins with.
    ///
    /// The first file of a run has a START as well: TensorBoard's pages take the first that they see for the beginning of the
    /// run, and only a further one for a restart.
    fn announce(&mut self, now: SystemTime, first_step: i64) -> Result<(), EventError> {
        let wall_time = seconds(now);
        let what = Some(What::FileVersion(FILE_VERSION.into()));
        let source_metadata = Some(SourceMetadata { writer: "oculist".into() });
        self.write(&Event { wall_time, step: 0, what, source_metadata })?;
        let what = Some(What::SessionLog(SessionLog { status: START }));
        self.write(&Event { wall_time, step: first_step, what, source_metadata: None })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One number of a series; NaN and infinities are written as such.
    ///
    /// # Errors
    /// [`EventError::Value`] for a tag or step that cannot be written, [`EventError::Write`] if the system refuses.
    pub fn scalar(&mut self, tag: &str, step: u64, time: SystemTime, value: f32) -> Result<(), EventError> {
        self.value(
            step,
            time,
            SummaryValue { tag: tag.into(), data: Some(Data::SimpleValue(value)), metadata: None },
        )
    }

    /// A text, which TensorBoard shows as Markdown.
    ///
    /// # Errors
    /// As [`scalar`](Self::scalar); [`EventError::Value`] also for a text of more than [`MAX_EVENT_BYTES`].
    pub fn text(&mut self, tag: &str, step: u64, time: SystemTime, text: &str) -> Result<(), EventError> {
        self.check_size(tag, text.len())?;
        // Without dimensions: a list, even of one text, is shown as a table.
        let tensor = TensorProto {
            dtype: DT_STRING,
            tensor_shape: Some(TensorShapeProto::default()),
            string_val: vec![text.into()],
        };
        // The plugin's own data is its version, and that is 0.
        let plugin_data = PluginData { plugin_name: "text".into(), content: Vec::new() };
        let metadata = Some(SummaryMetadata { plugin_data: Some(plugin_data) });
        self.value(step, time, SummaryValue { tag: tag.into(), data: Some(Data::Tensor(tensor)), metadata })
    }

    /// A picture, given as a PNG file, whose first chunk says its height, width and channels.
    ///
    /// # Errors
    /// As [`scalar`](Self::scalar); [`EventError::Value`] also for what is no PNG file, or one of more than
    /// [`MAX_EVENT_BYTES`].
    pub fn image_png(
        &mut self,
        tag: &str,
        step: u64,
        time: SystemTime,
        png: &[u8],
    ) -> Result<(), EventError> {
        self.check_size(tag, png.len())?;
        let Some(image) = picture::image(png) else {
            let begin = png[..png.len().min(8)].escape_ascii();
            return Err(
                self.refuse(tag, format!("expected a PNG file, found {} bytes `{begin}`...", png.len()))
            );
        };
        self.value(
            step,
            time,
            SummaryValue { tag: tag.into(), data: Some(Data::Image(image)), metadata: None },
        )
    }

    /// The hyperparameters of the run, and the tags of the scalars that are compared by them.
    ///
    /// To be written once: readers keep the first that they find in the folder. With metrics, the parameters and metrics
    /// of one run, whichever is read first, are the columns for all runs of a folder; without, TensorBoard
    /// gathers the columns from all runs, and every scalar is a metric.
    ///
    /// # Errors
    /// [`EventError::Write`] if the system refuses.
    pub fn hparams(
        &mut self,
        time: SystemTime,
        parameters: &BTreeMap<String, HParam>,
        metrics: &[&str],
    ) -> Result<(), EventError> {
        if !metrics.is_empty() {
            self.value(0, time, experiment(parameters, metrics, seconds(time)))?;
        }
        self.value(0, time, session_start(parameters, seconds(time)))
    }

    /// How the run that [`hparams`](Self::hparams) has described ended; only when nothing resumes it, since readers keep
    /// the first that they find.
    ///
    /// # Errors
    /// [`EventError::Write`] if the system refuses.
    pub fn hparams_end(&mut self, time: SystemTime, outcome: Outcome) -> Result<(), EventError> {
        self.value(0, time, session_end(outcome, seconds(time)))
    }

    /// Waits until all events are on the disk.
    ///
    /// # Errors
    /// [`EventError::Write`] if the system refuses.
    pub fn flush(&mut self) -> Result<(), EventError> {
        self.records.flush().map_err(|cause| EventError::Write { path: self.path.clone(), cause })
    }

    fn value(&mut self, step: u64, time: SystemTime, value: SummaryValue) -> Result<(), EventError> {
        if value.tag.is_empty() {
            return Err(self.refuse("", "expected a tag, found nothing".into()));
        }
        let step = step_of(step).map_err(|problem| self.refuse(&value.tag, problem))?;
        let what = Some(What::Summary(Summary { value: vec![value] }));
        self.write(&Event { wall_time: seconds(time), step, what, source_metadata: None })
    }

    fn check_size(&self, tag: &str, bytes: usize) -> Result<(), EventError> {
        if bytes <= MAX_EVENT_BYTES {
            return Ok(());
        }
        Err(self.refuse(tag, format!("expected at most {MAX_EVENT_BYTES} bytes, found {bytes}")))
    }

    fn refuse(&self, tag: &str, problem: String) -> EventError {
        EventError::Value { path: self.path.clone(), tag: tag.to_owned(), problem }
    }

    fn write(&mut self, event: &Event) -> Result<(), EventError> {
        self.records
            .write(event)
            .map_err(|cause: io::Error| EventError::Write { path: self.path.clone(), cause })
    }
}

/// A step as the format holds it.
fn step_of(step: u64) -> Result<i64, String> {
    i64::try_from(step).map_err(|_| format!("expected a step of at most {}, found {step}", i64::MAX))
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
