// Files on disk as the sources of a save, whoever wrote them: safetensors files, folders of Hugging
// Face libraries, files of torch.save, folders of torch.distributed.checkpoint, and folders with a
// file for each rank of a job. Nothing is executed, and no tensor byte is read before the save
// does.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "lib/cairn.hpp"

namespace cairn {

struct ImportRequest {
  std::vector<std::string> paths;
  /// Objects of files of torch.save and of DCP that are neither tensors nor plain values are kept
  /// as the pickles that they are, unread; else they are refused.
  bool allow_pickle = false;
  /// Where the tensors of a job's ranks were cut (lib/formats/rank_layout.h): the path of a file.
  /// Empty: `paths` are of the other formats.
  std::string layout;
};

/// The sources point into the mapped files and owned bytes, which live as long as this.
struct ImportFiles {
  std::deque<MappedFile> mapped;
  std::deque<Bytes> owned;
  std::vector<TensorSource> tensors;
  std::vector<AttachmentSource> attachments;
  Metadata file_metadata;  ///< `__metadata__` of all files, the first wins
  std::vector<std::string> warnings;
};

/// Opens the files and folders in order. Errors: kNotFound for a path or a shard that an index
/// names; kUsage for what is in none of the formats, a tensor name that comes twice, a pickle that
/// names what is no data, or no tensor at all.
Result<ImportFiles> open_import(Fs& fs, const ImportRequest& request);

/// Errors: kFailed when a file was written to since it was opened: its tensors may be of two
/// states.
Status check_unchanged(const ImportFiles& files);

/// Adds a file as an attachment. Errors: kNotFound. A name that is taken is refused by the save.
Status add_attachment(ImportFiles& files, const std::string& name, const std::string& path);

}  // namespace cairn
