// Uploads into a folder: parts as files, until they are copied together.
//
//   uploads/<id>/key       what they will be; written first
//   uploads/<id>/<number>  a part, named when it is whole and synced
//   uploads/<random>       a file that is being written
#pragma once

#include "base/fs.h"
#include "store/remote/backend.h"

namespace cairn::remote {

/// Threads: any.
class DirectoryUploads {
 public:
  DirectoryUploads(Fs& fs, const std::string& root)
      : fs_(fs), folder_(join_path(root, "uploads")) {}

  /// A new file of these bytes, synced, to be renamed.
  Result<std::string> write_spare(ByteSpan bytes);

  Result<std::string> begin(const std::string& key);
  Result<UploadedPart> add(const std::string& upload, uint32_t number, ByteSpan bytes);
  Result<std::vector<UploadedPart>> parts(const std::string& upload);
  /// A new file of the parts one after the other, synced, to be renamed.
  Result<std::string> join(const std::string& upload, const std::vector<UploadedPart>& parts);
  Status remove(const std::string& upload);
  Result<std::vector<OpenUpload>> list(const std::string& prefix);

 private:
  Result<std::string> spare_path();
  Result<std::string> folder_of(const std::string& upload);
  Result<UploadedPart> look(const std::string& folder, uint32_t number);
  Status append_part(File& file, uint64_t& offset, const std::string& folder,
                     const UploadedPart& part);

  Fs& fs_;
  const std::string folder_;
};

}  // namespace cairn::remote
