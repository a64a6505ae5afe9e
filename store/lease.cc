#include "store/lease.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "store/sealed_json.h"

namespace cairn {

using nlohmann::json;

static std::string_view kind_name(LeaseKind kind) {
  return kind == LeaseKind::kSave ? "save" : "move";
}

static json describe(const Reference& reference) {
  return json{{"file", reference.file.name()},
              {"offset", reference.offset},
              {"bytes", reference.bytes},
              {"digest", reference.digest.hex()}};
}

static json describe(const std::optional<LeasedBase>& base) {
  if (!base) return nullptr;
  return json{{"tag", base->tag},
              {"manifest", describe(base->manifest)},
              {"schema", describe(base->schema)},
              {"table", describe(base->table)},
              {"layout", base->layout ? describe(*base->layout) : json()}};
}

std::string encode_lease(const Lease& lease) {
  json packs = json::array();
  if (lease.base) {
    for (const FileId& pack : lease.base->packs) packs.push_back(pack.name());
  }
  return seal_json(json{{"kind", kind_name(lease.kind)},
                        {"host", lease.owner.host},
                        {"pid", lease.owner.pid},
                        {"pid_start", lease.owner.start},
                        {"started", lease.started},
                        {"tag", lease.tag},
                        {"base", describe(lease.base)},
                        {"packs", packs}});
}

static Result<Reference> reference_in(const json& object) {
  Reference reference;
  CAIRN_TRY(reference.file, FileId::parse(object.at("file").get<std::string>()));
  reference.offset = object.at("offset").get<uint64_t>();
  reference.bytes = object.at("bytes").get<uint64_t>();
  if (reference.digest.parse(object.at("digest").get<std::string>())) return reference;
  return fail(Code::kCorrupt, "a digest that is none");
}

static Result<LeasedBase> base_in(const json& object, const json& packs) {
  LeasedBase base;
  base.tag = object.at("tag").get<std::string>();
  CAIRN_TRY(base.manifest, reference_in(object.at("manifest")));
  CAIRN_TRY(base.schema, reference_in(object.at("schema")));
  CAIRN_TRY(base.table, reference_in(object.at("table")));
  if (!object.at("layout").is_null()) {
    CAIRN_TRY(base.layout, reference_in(object.at("layout")));
  }
  for (const json& pack : packs) {
    CAIRN_TRY(const FileId file, FileId::parse(pack.get<std::string>()));
    base.packs.push_back(file);
  }
  return base;
}

static Result<Lease> lease_in(const json& object, const std::string& path) {
  Lease lease;
  const auto kind = object.at("kind").get<std::string>();
  if (kind != kind_name(LeaseKind::kSave) && kind != kind_name(LeaseKind::kMove)) {
    return fail(Code::kNewerFormat, fmt::format("the lease '{}' is of a kind '{}' that this "
                                                "version does not know",
                                                path, kind));
  }
  lease.kind = kind == kind_name(LeaseKind::kSave) ? LeaseKind::kSave : LeaseKind::kMove;
  lease.owner = {object.at("host").get<std::string>(), object.at("pid").get<int64_t>(),
                 object.at("pid_start").get<uint64_t>()};
  lease.started = object.at("started").get<std::string>();
  lease.tag = object.at("tag").get<std::string>();
  if (!object.at("base").is_null()) {
    CAIRN_TRY(lease.base, base_in(object.at("base"), object.at("packs")));
  }
  return lease;
}

Result<Lease> decode_lease(ByteSpan text, const std::string& path) {
  CAIRN_TRY(const json object, unseal_json(text, fmt::format("the lease '{}'", path)));
  try {
    return lease_in(object, path);
  } catch (const json::exception& wrong) {
    return fail(Code::kCorrupt, fmt::format("the lease '{}' is malformed: {}", path, wrong.what()));
  }
}

}  // namespace cairn
