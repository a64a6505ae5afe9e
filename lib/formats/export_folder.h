// A folder that an export fills: prepared first, published when all of it is written.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/formats/export_files.h"
#include "lib/new_file.h"

namespace cairn {

/// Which of a folder's files are of a format, by name.
struct FolderFormat {
  bool (*is_entry)(const std::string& name);     ///< where readers begin
  bool (*is_part)(const std::string& name);      ///< what they would take for a part; entries too
  bool (*is_of_other)(const std::string& name);  ///< where readers of another format begin
};

/// Threads: one.
class ExportFolder {
 public:
  ExportFolder(Fs& fs, const ExportRequest& request, const FolderFormat& format,
               ExportResult& result)
      : fs_(fs), request_(request), format_(format), result_(result) {}

  /// Makes the folder. Errors: kExists for one that is not empty, without `force`; for one that
  /// holds another format's checkpoint, or folders called like parts; and for a file.
  Status prepare();

  Result<NewFile> create(const std::string& name, NewFile::Order order = NewFile::Order::kAppend);

  /// Attachments that are told otherwise than by a file of their own.
  using Taken = std::function<bool(std::string_view name)>;
  /// Call it before tensors are written. Errors: kUsage for names that are no file names, or those
  /// of parts.
  Status check_attachments(const Checkpoint& checkpoint, const Taken& is_taken) const;
  /// Sealed, not published.
  Status write_attachments(Checkpoint& checkpoint, const Taken& is_taken,
                           std::vector<NewFile>& files);

  /// Whoever reads the folder at any instant finds the old export whole, or no entry, or the new
  /// one whole: (1) the old entries go, for good; (2) the new parts get their names; (3) old parts
  /// that have no successor go, which would be taken for parts; (4) the new entry gets its name.
  Status publish(std::vector<NewFile>& parts, NewFile& entry);

  /// Half a folder helps nobody, and the next try would need --force. With --force there was
  /// something before: what is left of it, or of the new files, has no entry.
  void remove_what_was_written();

 private:
  Status refuse_file() const;
  Status refuse_what_would_mix(const std::vector<FolderEntry>& entries) const;
  Status check_attachment(const std::string& name) const;
  Status publish_file(NewFile& file);
  Status remove_old(bool (*is_such)(const std::string&));

  Fs& fs_;
  const ExportRequest& request_;
  const FolderFormat& format_;
  ExportResult& result_;
  bool made_folder_ = false;
};

}  // namespace cairn
