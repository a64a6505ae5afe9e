#include "store/writable.h"

#include <fmt/format.h>

namespace cairn {

Status check_place_is_written(Fs& fs, const std::string& path) {
  if (!fs.read_habits().is_remote || fs.conditional() != nullptr) return {};
  return fail(Code::kUsage, fmt::format("'{}' is read only: it lies on a web server", path),
              "write to a folder or to s3://; 'cairn pull' brings tags from here to one");
}

Status check_may_write(const Store& store) {
  CAIRN_CHECK(check_place_is_written(store.fs(), store.path()));
  return check_may_write(store.config());
}

}  // namespace cairn
