#include "client/cli/png.h"

#include <csetjmp>
#include <cstddef>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <png.h>

#include "common/os/atomic_file.h"

namespace parcompute::cli {
namespace {

// What libpng's callbacks reach. libpng leaves its functions by longjmp after an error, so nothing with a
// destructor may live in a frame that it jumps over.
struct Writing {
  AtomicFile* file = nullptr;
  Error error{ErrorCode::kSystem, "", 0};
};

void on_write(png_structp png, png_bytep bytes, png_size_t count) {
  auto* writing = static_cast<Writing*>(png_get_io_ptr(png));
  bool failed = false;
  if (auto written = writing->file->write(std::as_bytes(std::span(bytes, count))); !written) {
    writing->error = written.error();
    failed = true;
  }
  if (failed) png_error(png, "");
}

void on_flush(png_structp) {}

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* writing = static_cast<Writing*>(png_get_error_ptr(png));
  if (writing->error.message.empty())
    writing->error.message = fmt::format("cannot write the PNG file: {}", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

struct PngWriter {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
};

// The frames that libpng may leave by longjmp. False: see Writing::error.
bool begin(PngWriter& writer, const PngSize& size) {
  if (setjmp(png_jmpbuf(writer.png)) != 0) return false;
  png_set_IHDR(writer.png, writer.info, size.width, size.height, 8,
               size.alpha ? PNG_COLOR_TYPE_RGBA : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  return true;
}
bool write_row(PngWriter& writer, const std::uint8_t* row) {
  if (setjmp(png_jmpbuf(writer.png)) != 0) return false;
  png_write_row(writer.png, row);
  return true;
}
bool end(PngWriter& writer) {
  if (setjmp(png_jmpbuf(writer.png)) != 0) return false;
  png_write_end(writer.png, writer.info);
  return true;
}

}  // namespace

Result<void> write_png(const std::filesystem::path& file, const PngSize& size,
                       const std::function<void(std::uint32_t, std::span<std::uint8_t>)>& fill_row) {
  if (size.width == 0 || size.height == 0)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("a picture of {}x{} has no pixels; '{}' was not written", size.width, size.height,
                            file.string()));
  if (size.width > kMaxPngSide || size.height > kMaxPngSide)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("a picture of {}x{} is too large for '{}': PNG files have up to {} pixels a side",
                            size.width, size.height, file.string(), kMaxPngSide));
  auto target = AtomicFile::create(file.string());
  if (!target) return fail(target.error());

  Writing writing{.file = &*target};
  PngWriter writer;
  writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writing, on_error, on_warning);
  writer.info = writer.png == nullptr ? nullptr : png_create_info_struct(writer.png);
  if (writer.info == nullptr)
    return fail(ErrorCode::kOverBudget, "there is no memory left to write a PNG file");
  png_set_write_fn(writer.png, &writing, on_write, on_flush);

  if (!begin(writer, size)) return fail(writing.error);
  std::vector<std::uint8_t> row(size.row_bytes());
  for (std::uint32_t y = 0; y < size.height; ++y) {
    fill_row(y, row);
    if (!write_row(writer, row.data())) return fail(writing.error);
  }
  if (!end(writer)) return fail(writing.error);
  return target->commit();
}

}  // namespace parcompute::cli
