#include "lib/formats/import_files.h"

#include <fmt/format.h>

#include "lib/formats/dcp_metadata.h"
#include "lib/formats/import_sources.h"
#include "lib/formats/torch_file.h"

namespace cairn {

Status add_attachment(ImportFiles& files, const std::string& name, const std::string& path) {
  CAIRN_TRY(MappedFile mapped, MappedFile::open(path));
  files.attachments.push_back({name, files.mapped.emplace_back(std::move(mapped)).bytes()});
  return {};
}

Status check_unchanged(const ImportFiles& files) {
  for (const MappedFile& file : files.mapped) CAIRN_CHECK(file.check_unchanged());
  return {};
}

static Status add_folder(ImportSources& sources, const std::string& path) {
  if (!sources.request().layout.empty()) return add_ranks(sources, path);
  const auto metadata = sources.fs().info(join_path(path, std::string(kDcpMetadataName)));
  if (metadata && !metadata->is_folder) return add_dcp(sources, path);
  return add_hugging_face(sources, path);
}

static Status add_path(ImportSources& sources, const std::string& path) {
  CAIRN_TRY(const FileInfo info, sources.fs().info(path));
  if (info.is_folder) return add_folder(sources, path);
  if (!sources.request().layout.empty()) {
    return fail(Code::kUsage, fmt::format("'{}' is a file, and '--layout' is for folders", path),
                "name the folder that has the files of all ranks");
  }
  CAIRN_TRY(const MappedFile file, MappedFile::open(path));
  if (looks_like_torch(file.bytes())) return add_torch(sources, path);
  return add_safetensors(sources, {path}, path);
}

Result<ImportFiles> open_import(Fs& fs, const ImportRequest& request) {
  ImportFiles files;
  ImportSources sources(fs, request, files);
  for (const std::string& path : request.paths) CAIRN_CHECK(add_path(sources, path));
  CAIRN_CHECK(sources.finish());
  if (files.tensors.empty()) {
    return fail(Code::kUsage,
                fmt::format("there are no tensors in '{}'", fmt::join(request.paths, "', '")),
                "name .safetensors files, files of torch.save, or a folder of a model or of DCP; "
                "folders with "
                "a file a rank take '--layout'");
  }
  return files;
}

}  // namespace cairn
