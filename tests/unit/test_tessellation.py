"""The triangles of the mesh are MediaPipe's, and face outwards."""

from __future__ import annotations

import importlib
from collections import Counter

from shared.tessellation import EDGES, MESH_POINTS, SKIN_POINTS, TRIANGLES
from tests.results import astronaut_mesh
from worker.vision import face_mesh

DIRECTED = [edge for a, b, c in TRIANGLES for edge in ((a, b), (b, c), (c, a))]


def test_each_directed_edge_of_mediapipe_is_in_one_triangle() -> None:
    face_mesh.preload()
    connections = importlib.import_module("mediapipe.python.solutions.face_mesh_connections")
    assert Counter(DIRECTED) == Counter(connections.FACEMESH_TESSELATION)


def test_there_are_852_triangles_over_the_468_points_of_the_skin() -> None:
    assert len({frozenset(triangle) for triangle in TRIANGLES}) == len(TRIANGLES) == 852
    assert {index for triangle in TRIANGLES for index in triangle} == set(range(SKIN_POINTS))
    assert (SKIN_POINTS, MESH_POINTS) == (468, 478)


def test_triangles_come_in_one_order_and_from_one_end() -> None:
    assert list(TRIANGLES) == sorted(TRIANGLES)
    assert all(triangle[0] == min(triangle) for triangle in TRIANGLES)


def test_the_mesh_is_one_surface_with_four_borders() -> None:
    """Neighbours run along their common edge in opposite ways; only the rim, the eyes and the mouth have none."""
    border = {edge for edge in DIRECTED if (edge[1], edge[0]) not in set(DIRECTED)}
    following = dict(border)
    loops = []
    while following:
        start = point = next(iter(following))
        length = 0
        while point in following:
            point = following.pop(point)
            length += 1
        assert point == start
        loops.append(length)
    assert sorted(loops) == [16, 16, 20, 36]
    assert len(EDGES) == 1322
    assert SKIN_POINTS - len(EDGES) + len(TRIANGLES) == 2 - len(loops)  # Euler: a sphere with four holes


def test_each_edge_is_listed_once() -> None:
    assert {frozenset(edge) for edge in EDGES} == {frozenset(edge) for edge in DIRECTED}
    assert len({frozenset(edge) for edge in EDGES}) == len(EDGES)
    assert all(a < b for a, b in EDGES)


def test_a_portrait_is_seen_from_outside() -> None:
    """With y up and z towards the camera, nearly every triangle of a face that looks at it is anticlockwise."""
    mesh = astronaut_mesh()

    def twice_the_area(a: int, b: int, c: int) -> float:
        (ax, ay, _), (bx, by, _), (cx, cy, _) = (mesh[index] for index in (a, b, c))
        return (bx - ax) * (ay - cy) - (cx - ax) * (ay - by)

    areas = [twice_the_area(*triangle) for triangle in TRIANGLES]
    assert sum(area > 0 for area in areas) >= 0.97 * len(areas)
    assert sum(area for area in areas if area < 0) > -0.01 * sum(areas)
