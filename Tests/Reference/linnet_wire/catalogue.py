"""Every type by the name that the vectors give it."""
from addresses import ADDRESS
from blocks import BLOCK, BLOCK_HEADER, EPOCH_LINK, MERKLE_SIBLING, SNAPSHOT_CHUNK, SNAPSHOT_ENTRY, VALIDATOR
from genesis import BALANCE, GENESIS, PARAMETERS
from invites import INVITE
from links import CONSENSUS, GOSSIP, LINK, MEMBER_DIGEST, MEMBER_REQUEST, SERVICE
from messages import ACCUSATION, ACK, ENVELOPE, MESSAGE, NACK, NODE_HINT, NODE_LIST, NODE_RECORD, PING, PING_REQUEST
from services import (
    BLOB_REQUEST, CONNECT_ANSWER, CONNECT_REQUEST, DIAL_BACK_ANSWER, DIAL_BACK_REQUEST, GENESIS_ANSWER,
    GENESIS_REQUEST, LOG_ANSWER, LOG_REQUEST, BlobChunks,
)
from transactions import (
    ACTION, EXIT_STATUS, GPU_OFFER, INPUT, JOB_SPECIFICATION, JOB_TERMS, LABEL, LEASE_COMMITMENT, LEASE_RESULT,
    OFFER_TERMS, PRICES, RESOURCES, TRANSACTION, USAGE,
)
from votes import CERTIFICATE, EVIDENCE, VOTE, VOTE_KEY, VOTE_SUBJECT

TYPES = {
    "PeerAddress": ADDRESS, "Genesis": GENESIS, "Balance": BALANCE, "ChainParameters": PARAMETERS,
    "Envelope": ENVELOPE, "Message": MESSAGE, "NodeRecord": NODE_RECORD, "Accusation": ACCUSATION, "Ping": PING, "Ack": ACK,
    "Nack": NACK, "PingRequest": PING_REQUEST, "Transaction": TRANSACTION, "TransactionAction": ACTION,
    "OfferTerms": OFFER_TERMS, "Resources": RESOURCES, "GPUOffer": GPU_OFFER, "Label": LABEL, "Prices": PRICES,
    "JobTerms": JOB_TERMS, "JobSpecification": JOB_SPECIFICATION, "Input": INPUT, "LeaseCommitment": LEASE_COMMITMENT,
    "LeaseResult": LEASE_RESULT, "VoteKey": VOTE_KEY, "Evidence": EVIDENCE, "Validator": VALIDATOR, "EpochLink": EPOCH_LINK,
    "SnapshotEntry": SNAPSHOT_ENTRY, "MerkleSibling": MERKLE_SIBLING, "SnapshotChunk": SNAPSHOT_CHUNK,
    "ExitStatus": EXIT_STATUS, "Usage": USAGE, "BlockHeader": BLOCK_HEADER, "Block": BLOCK,
    "VoteSubject": VOTE_SUBJECT, "Vote": VOTE, "Certificate": CERTIFICATE, "LinkMessage": LINK,
    "ConsensusMessage": CONSENSUS, "GossipMessage": GOSSIP, "ServiceMessage": SERVICE, "NodeHint": NODE_HINT,
    "NodeList": NODE_LIST, "MemberDigest": MEMBER_DIGEST, "MemberRequest": MEMBER_REQUEST, "Invite": INVITE,
    "GenesisRequest": GENESIS_REQUEST, "GenesisAnswer": GENESIS_ANSWER, "DialBackRequest": DIAL_BACK_REQUEST,
    "DialBackAnswer": DIAL_BACK_ANSWER, "ConnectRequest": CONNECT_REQUEST, "ConnectAnswer": CONNECT_ANSWER,
}
# Not in Sources/Wire, so only this file checks itself on them here; the targets that own them test their own.
SERVICE_TYPES = {
    "BlobRequest": BLOB_REQUEST, "BlobChunks": BlobChunks(), "LogRequest": LOG_REQUEST, "LogAnswer": LOG_ANSWER,
}
