"""Names of sessions of the International Brain Laboratory (IBL)."""

from __future__ import annotations

__all__ = ["IBL_SESSIONS", "RELEASE_TAGS"]

# The repeated-site recordings of Zhang et al. (2024), "Towards a universal translator for neural
# dynamics at single-cell, single-spike resolution": 35 for pretraining, 5 held out.
_POOL = """
c51f34d8-42f6-4c9c-bb5b-669fd9c42cd9 f140a2ec-fd49-4814-994a-fe3476f14e66
d2832a38-27f6-452d-91d6-af72d794136c 88224abb-5746-431f-9c17-17d7ef806e6a
d0ea3148-948d-4817-94f8-dcaf2342bbbe 0cad7ea8-8e6c-4ad1-a5c5-53fbb2df1a63
d9f0c293-df4c-410a-846d-842e47c6b502 3638d102-e8b6-4230-8742-e548cd87a949
dac3a4c1-b666-4de0-87e8-8c514483cacf 7cb81727-2097-4b52-b480-c89867b5b34c
7691eeb3-715b-4571-8fda-6bb57aab8253 15763234-d21e-491f-a01b-1238eb96d389
61e11a11-ab65-48fb-ae08-3cb80662e5d6 41872d7f-75cb-4445-bb1a-132b354c44f0
862ade13-53cd-4221-a3fa-dda8643641f2 03cf52f6-fba6-4743-a42e-dd1ac3072343
db4df448-e449-4a6f-a0e7-288711e7a75a 4b00df29-3769-43be-bb40-128b1cba6d35
57fd2325-67f4-4d45-9907-29e77d3043d7 572a95d1-39ca-42e1-8424-5c9ffcb2df87
b03fbc44-3d8e-4a6c-8a50-5ea3498568e0 51e53aff-1d5d-4182-a684-aba783d50ae5
30c4e2ab-dffc-499d-aae4-e51d6b3218c2 c4432264-e1ae-446f-8a07-6280abade813
754b74d5-7a06-4004-ae0c-72a10b6ed2e6 c7248e09-8c0d-40f2-9eb4-700a8973d8c8
f312aaec-3b6f-44b3-86b4-3a0c119c0438 ecb5520d-1358-434c-95ec-93687ecd1396
a8a8af78-16de-4841-ab07-fde4b5281a03 4b7fbad4-f6de-43b4-9b15-c7c7ef44db4b
71e55bfe-5a3a-4cba-bdc7-f085140d798e a66f1593-dafd-4982-9b66-f9554b6c86b5
0802ced5-33a3-405e-8336-b65ebc5cb07c 72cb5550-43b4-4ef0-add5-e4adfdfb5e02
781b35fd-e1f0-4d14-b2bb-95b7263082bb
"""
_HELD_OUT = """
5dcee0eb-b34d-4652-acc3-d10afc6eae68 c7bf2d49-4937-4597-b307-9f39cb1c7b16
03d9a098-07bf-4765-88b7-85f8d8f620cc d57df551-6dcb-4242-9c72-b806cff5613a
824cf03d-4012-4ab1-b499-c83a92c5589e
"""

#: Lists that are known by name, without a network.
IBL_SESSIONS = {
    "repeated-site": tuple(_POOL.split() + _HELD_OUT.split()),
    "repeated-site pretraining": tuple(_POOL.split()),
    "repeated-site held-out": tuple(_HELD_OUT.split()),
}

#: Lists that the database gives, by the tag of the data release.
RELEASE_TAGS = {
    "brain-wide-map": "Brainwidemap",
    "brain-wide-map 2022": "2022_Q4_IBL_et_al_BWM",
    "brain-wide-map 2025": "2025_Q3_IBL_et_al_BWM",
}
