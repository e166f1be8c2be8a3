"""What is signed or hashed besides an encoding."""
import nacl.exceptions
import nacl.signing

from blocks import BLOCK
from coding import blake, decode, domain
from messages import ENVELOPE
from transactions import TRANSACTION
from votes import VOTE_KEY, VOTE_SUBJECT


def verifies(key, statement, signature):
    try:
        nacl.signing.VerifyKey(bytes.fromhex(key)).verify(statement, bytes.fromhex(signature))
        return True
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.CryptoError):
        return False


def message_verifies(envelope, network):
    return (
        envelope["network"] == network[:16]
        and verifies(envelope["author"], ENVELOPE.statement(envelope), envelope["signature"])
        and inner_verifies(envelope, network)
    )


def inner_verifies(envelope, network):
    """What a transaction carries besides the author's own signature."""
    if envelope["kind"] != "transaction":
        return True
    action = decode(TRANSACTION, bytes.fromhex(envelope["payload"]))["action"]
    case = action["case"] if isinstance(action, dict) else action
    if case == "rotateKey":
        return vote_key_verifies(action["value"], network, envelope["author"])
    if case == "evidence":
        return evidence_verifies(action["value"], network)
    return True


def vote_key_verifies(value, network, node):
    return verifies(value["key"], VOTE_KEY.statement(value, network, node), value["proof"])


def evidence_verifies(value, network):
    return all(
        verifies(value["key"], VOTE_SUBJECT.statement(vote["subject"], network), vote["signature"])
        for vote in (value["first"], value["second"])
    )


def vote_verifies(subject, voter, signature, network, validators):
    return voter < len(validators) and verifies(validators[voter], VOTE_SUBJECT.statement(subject, network), signature)


def certificate_verifies(value, network, validators):
    quorum = len(validators) - (len(validators) - 1) // 3
    return len(value["signers"]) >= quorum and all(
        vote_verifies(value["subject"], voter, signature, network, validators)
        for voter, signature in zip(value["signers"], value["signatures"])
    )


def signed_holds(entry, value):
    """True when every signature in a signed entry verifies."""
    network, validators = entry["networkID"], entry.get("validators", [])
    if entry["type"] == "EpochLink":
        value = value["finalization"]
    if validators and value["subject"]["epoch"] != entry["epoch"]:
        return False
    if entry["type"] == "VoteKey":
        return vote_key_verifies(value, network, entry["node"])
    if entry["type"] == "Evidence":
        return evidence_verifies(value, network)
    if entry["type"] == "Vote":
        return vote_verifies(value["subject"], value["voter"], value["signature"], network, validators)
    if entry["type"] in ("Certificate", "EpochLink"):
        return certificate_verifies(value, network, validators)
    if entry["type"] == "Message":
        return message_verifies(value["envelope"], network)
    if entry["type"] == "Block":
        return all(message_verifies(message["envelope"], network) for message in value["transactions"])
    return True


def extras(entry, value):
    """What an entry says besides fields and bytes, computed anew, for the names that it has."""
    data, kind = bytes.fromhex(entry["hex"]), entry["type"]
    network = entry.get("networkID")
    answer = {}
    if kind == "Genesis":
        answer["networkID"] = blake(domain("genesis") + data).hex()
    if kind == "Block":
        answer["id"] = value["id"]
    if kind == "BlockHeader":
        answer["id"] = BLOCK.id(value)
    if kind == "LeaseResult" and "provider" in entry:
        bound = domain("result") + bytes.fromhex(network) + bytes.fromhex(entry["provider"]) + data
        answer["commitment"] = blake(bound).hex()
    if kind == "Message":
        answer["id"] = value["id"]
        answer["statement"] = ENVELOPE.statement(value["envelope"]).hex()
        answer["signature"] = value["envelope"]["signature"]
    if kind == "VoteKey" and "node" in entry:
        answer["statement"] = VOTE_KEY.statement(value, network, entry["node"]).hex()
        answer["signature"] = value["proof"]
    if kind == "Vote" and network:
        answer["statement"] = VOTE_SUBJECT.statement(value["subject"], network).hex()
        answer["signature"] = value["signature"]
    if kind == "Certificate" and network:
        answer["statement"] = VOTE_SUBJECT.statement(value["subject"], network).hex()
    if "seed" in entry:
        key = nacl.signing.SigningKey(bytes.fromhex(entry["seed"]))
        made = key.sign(bytes.fromhex(answer["statement"])).signature.hex()
        if made != answer["signature"]:
            raise AssertionError("the seed's key does not make the signature")
    return answer
