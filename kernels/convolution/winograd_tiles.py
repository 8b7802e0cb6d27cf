"""What Winograd's convolution and its gradient with respect to the weight share: the tiles of a block, transformed, and
a matrix product for each of their places."""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels.convolution.micro import multiply_tile, tile_height
from kernels.convolution.pack import copy_channels_last
from kernels.simd import lane_count, shifted, strided

ONE = np.int64(1)  # typed: Numba compiles a callee anew for each literal argument


class Matrices(NamedTuple):
    """One matrix for each place of a tile: elements from one to the next, from row to row and from column to column."""

    memory: object
    place: int
    row_stride: int
    column_stride: int


class Tiles(NamedTuple):
    """The tiles of a block: those of some images, in rows and columns; elements of a tile lie `dilation` apart, and the
    tiles between them are neighbours, so that rows and columns are multiples of the dilation."""

    images: int
    rows: int
    columns: int
    dilation: tuple  # along height and width


class Source(NamedTuple):
    """Where tiles are read: elements from one image to the next, sizes of an image, and the first tile's position."""

    memory: object
    image_stride: int
    sizes: tuple
    start: tuple


@jit(inline=True)
def first_of(tile, side, dilation):
    """Position of a tile's first element along an axis: the elements of `dilation` neighbouring tiles alternate."""
    return side * dilation * (tile // dilation) + tile % dilation


@jit(inline=True)
def tiles_of(place, side, dilation):
    """The tiles that cover the outputs of `place`, whose depth is images."""
    (images, rows, columns), (_, along_h, along_w) = place.outputs, dilation
    steps = side * along_h, side * along_w
    rows, columns = (rows + steps[0] - 1) // steps[0] * along_h, (columns + steps[1] - 1) // steps[1] * along_w
    return Tiles(images, rows, columns, (along_h, along_w))


@jit(inline=True)
def tile_count(tiles):
    return tiles.images * tiles.rows * tiles.columns


@jit(merge=True)
def multiply_places(places, A, B, sums, rows, depth, keep):
    """``sums[place] (+)= A[place] B[place]``, rows x depth by depth x one panel: one product a place."""
    width = sums.row_stride
    for number in range(places):
        X = strided(shifted(A.memory, number * A.place), A.row_stride, A.column_stride)
        panel, to = shifted(B.memory, number * B.place), shifted(sums.memory, number * sums.place)
        r = 0
        while r < rows:
            height = tile_height(rows - r)
            multiply_tile(height, width, X.row(r), depth, panel, shifted(to, r * width), keep)
            r += height


def tiles_transformed(side, edge, transform):
    """The loop around the transform of tiles of `edge` x `edge` elements, which lie `side` apart."""

    @jit
    def transform_tiles(source, tiles, channels, block, half, D):
        """``D[place, t, c]``, the transform of the tiles t of a block's images, rows and columns, channels c; `block`
        is memory for an image of it, channels last."""
        (along_h, along_w), pixel, t = tiles.dilation, D.row_stride, 0
        overlap, row_of_places = edge - side, (side + 2) * D.place
        extents = ONE, side * tiles.rows + overlap * along_h, side * tiles.columns + overlap * along_w
        width = extents[2]
        for n in range(tiles.images):
            image = shifted(source.memory, n * source.image_stride)
            copy_channels_last(image, source.sizes, source.start, extents, channels, block, pixel)
            for i in range(tiles.rows):
                row = first_of(i, side, along_h) * width
                for j in range(tiles.columns):
                    first = shifted(block, (row + first_of(j, side, along_w)) * pixel)
                    for c in range(0, channels, lane_count(block)):
                        d = strided(shifted(first, c), along_h * width * pixel, along_w * pixel)
                        transform(d, half, strided(shifted(D.memory, t * pixel + c), row_of_places, D.place))
                    t += 1

    return transform_tiles


def evenly(count, limit):
    """Cut `count` into the fewest even parts of at most `limit`; returns the largest part."""
    return -(-count // -(-count // max(limit, 1)))


class Memory(NamedTuple):
    """Elements that a tile, a pixel of the block of x and a column of tiles take; along height and width, the pixels of
    a tile and those around all tiles."""

    tile: int
    pixel: int
    column: int
    step: tuple
    around: tuple


def _size(memory, tiles):
    """Elements for so many images, rows and columns of tiles."""
    (images, rows, columns), (step_h, step_w), (around_h, around_w) = tiles, memory.step, memory.around
    pixels = (step_h * rows + around_h) * (step_w * columns + around_w)
    return images * rows * columns * memory.tile + pixels * memory.pixel + columns * memory.column


def with_tiles(tiles, axis, n):
    """The tiles with n along an axis."""
    return n if axis == 0 else tiles[0], n if axis == 1 else tiles[1], n if axis == 2 else tiles[2]


def block_count(every, tiles):
    """Blocks of so many images, rows and columns of tiles that there are in all."""
    (N, H, W), (images, rows, columns) = every, tiles
    return -(-N // images) * -(-H // rows) * -(-W // columns)


def largest_tiles(every, memory, limit):
    """How many tiles (of images, rows, columns: `every` at most) a block can have whose size is within `limit`."""
    tiles = 1, 1, 1
    for axis in (2, 1, 0):  # the size is linear in each number of tiles: solve for the largest that fits
        more, fixed = _size(memory, tiles), _size(memory, with_tiles(tiles, axis, 0))
        tiles = with_tiles(tiles, axis, evenly(every[axis], (limit - fixed) // (more - fixed)))
        if tiles[axis] < every[axis]:
            break
    return tiles
