// What an import has found so far, of whatever formats: tensors by name, the state that they are
// of, and attachments.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/formats/import_files.h"
#include "lib/formats/state.h"
#include "lib/formats/state_taker.h"

namespace cairn {

/// Threads: one.
class ImportSources {
 public:
  ImportSources(Fs& fs, const ImportRequest& request, ImportFiles& files)
      : fs_(fs), request_(request), files_(files) {}

  Fs& fs() const { return fs_; }
  const ImportRequest& request() const { return request_; }

  /// Valid as long as the ImportFiles. Errors: kNotFound, kUsage for what is no regular file.
  Result<ByteSpan> map(const std::string& path);
  void warn(std::string warning) { files_.warnings.push_back(std::move(warning)); }

  /// `owner`: the file or folder that it is of, all of whose boxes make one tensor. Errors: kUsage
  /// for a name that another owner has.
  Status add_tensor(TensorSource source, const std::string& owner);
  /// Boxes of a tensor where a file's memory holds it. `box`: what it is of `shape`.
  Status add_tensor(const std::string& name, const TorchTensor& tensor, const Shape& shape, Box box,
                    const std::string& owner);
  void add_metadata(const Metadata& metadata, const std::string& path);
  Status add_file(const std::string& name, const std::string& path);
  void add_bytes(const std::string& name, ByteSpan bytes);
  void add_own_bytes(const std::string& name, Bytes bytes);
  void add_own_text(std::string_view name, std::string_view text);

  /// Of a file or folder; a flat dict of its tensors where it tells nothing else. Errors: kUsage
  /// for a key that another has.
  Status add_state(StateNode root, const std::string& owner);
  /// Of the state of one file of torch.save: what it holds beside its structure.
  void add_pickles(Bytes torch, Bytes objects);

  /// Makes the attachments that tell the state. Call last. Errors: kUsage.
  Status finish();

 private:
  Status merge_objects();

  Fs& fs_;
  const ImportRequest& request_;
  ImportFiles& files_;
  std::map<std::string, std::string> owners_;  // of tensors
  size_t states_ = 0;                          // that were added
  StateNode root_;
  std::set<StateKey> keys_;  // at its top
  Bytes torch_;
  std::vector<Bytes> objects_;
};

/// Of a folder: what lies beside its tensors is attached; subfolders are passed over with a
/// warning. `is_taken`: names that are no attachments.
Status add_other_files(ImportSources& sources, const std::string& folder,
                       const std::vector<FolderEntry>& entries,
                       const std::function<bool(const std::string&)>& is_taken);

// One file or folder each, of a format. Errors: as open_import().

Status add_safetensors(ImportSources& sources, const std::vector<std::string>& paths,
                       const std::string& owner);
Status add_hugging_face(ImportSources& sources, const std::string& folder);
Status add_torch(ImportSources& sources, const std::string& path);
Status add_dcp(ImportSources& sources, const std::string& folder);
Status add_ranks(ImportSources& sources, const std::string& folder);

}  // namespace cairn
