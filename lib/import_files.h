// Files on disk as the sources of a save: safetensors files, and folders of them as Hugging Face
// libraries write them.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "lib/cairn.hpp"

namespace cairn {

/// The sources point into the mapped files, which live as long as this.
struct ImportFiles {
  std::deque<MappedFile> mapped;
  std::vector<TensorSource> tensors;
  std::vector<AttachmentSource> attachments;
  Metadata file_metadata;  ///< `__metadata__` of all files, the first wins
  std::vector<std::string> warnings;
};

/// Opens the files and folders in order. Errors: kNotFound for a path or a shard that an index
/// names; kUsage for what is no safetensors file, a tensor name that comes twice, or no tensor at
/// all.
Result<ImportFiles> open_import(Fs& fs, const std::vector<std::string>& paths);

/// Errors: kFailed when a file was written to since it was opened: its tensors may be of two
/// states.
Status check_unchanged(const ImportFiles& files);

/// Adds a file as an attachment. Errors: kNotFound. A name that is taken is refused by the save.
Status add_attachment(ImportFiles& files, const std::string& name, const std::string& path);

}  // namespace cairn
