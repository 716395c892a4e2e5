//! Which column of a table is the file, which the label and which the split.
//!
//! The names are `file_name`, `label` and `split`, in any case and with any spaces, hyphens or underscores. Where a table
//! has no column of that name, one of the other names that people use is taken, if there is only one.

use crate::error::shortened;

/// A column that means something, and the names that it goes by, in small letters without anything between them.
pub(super) struct Column {
    /// The name in a manifest.
    pub(super) name: &'static str,
    others: &'static [&'static str],
}

/// The image file.
pub(super) const FILE: Column = Column {
    name: "file_name",
    others: &[
        "file",
        "files",
        "filenames",
        "filepath",
        "filepaths",
        "path",
        "paths",
        "image",
        "images",
        "img",
        "imagefile",
        "imagefilename",
        "imagename",
        "imagepath",
        "imgname",
        "imgpath",
    ],
};

/// The class.
pub(super) const LABEL: Column = Column {
    name: "label",
    others: &[
        "labels",
        "labelname",
        "class",
        "classes",
        "classname",
        "category",
        "categories",
        "categoryname",
        "target",
    ],
};

/// The split.
pub(super) const SPLIT: Column =
    Column { name: "split", others: &["splits", "set", "subset", "partition", "dataset", "datasplit"] };

impl Column {
    /// The column's place among the names of a table; None if no name fits.
    ///
    /// # Errors
    /// The names of the columns that fit equally well.
    pub(super) fn find(&self, header: &[String]) -> Result<Option<usize>, String> {
        let wanted = plain(self.name);
        let fits: [&dyn Fn(&str) -> bool; 3] =
            [&|name| name.trim() == self.name, &|name| plain(name) == wanted, &|name| {
                self.others.contains(&plain(name).as_str())
            }];
        for fits in fits {
            let found: Vec<usize> = (0..header.len()).filter(|&i| fits(&header[i])).collect();
            match found[..] {
                [] => {}
                [only] => return Ok(Some(only)),
                _ => {
                    let names: Vec<&str> = found.iter().map(|&i| header[i].as_str()).collect();
                    return Err(shortened(&names.join(", ")));
                }
            }
        }
        Ok(None)
    }

    /// True if a table calls the column by its own name, perhaps with other letters.
    pub(super) fn is_called(&self, name: &str) -> bool {
        plain(name) == plain(self.name)
    }
}

/// The place of the one column that the user names, by its name or by its letters and digits.
///
/// # Errors
/// What was expected and what was found.
pub(super) fn wanted_column(name: &str, header: &[String]) -> Result<usize, (String, String)> {
    let expected = format!("a column {name}");
    let fits: [&dyn Fn(&str) -> bool; 2] = [&|other| other == name, &|other| plain(other) == plain(name)];
    for fits in fits {
        let found: Vec<usize> = (0..header.len()).filter(|&i| fits(header[i].trim())).collect();
        match found[..] {
            [] => {}
            [only] => return Ok(only),
            _ => break,
        }
    }
    Err((expected, shortened(&header.join(", "))))
}

/// Letters and digits of a name, in small letters.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// True for text that ends like the name of an image file.
pub(crate) fn is_image_name(text: &str) -> bool {
    const ENDS: [&str; 12] =
        ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "tif", "tiff", "gif", "heic", "avif"];
    let end = text.trim().rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    end.is_some_and(|end| ENDS.contains(&end.as_str()))
}
