"""The proof before the label: a device is measured, phase by phase, before it may leave the bench (docs/proof.md)."""

from ansim.proof.model import HANDS, Hands, Limits, Phase, Proof, ProofPlan, Step
from ansim.proof.plan import expected_of, plan_by, plan_for
from ansim.proof.prove import PHASES, prove
from ansim.proof.record import check_written, record

__all__ = [
    "HANDS",
    "PHASES",
    "Hands",
    "Limits",
    "Phase",
    "Proof",
    "ProofPlan",
    "Step",
    "check_written",
    "expected_of",
    "plan_by",
    "plan_for",
    "prove",
    "record",
]
