// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Fixture} from "./Base.sol";
import {AnchorRegistry} from "../src/AnchorRegistry.sol";

/// @dev Two-step ownership, two-step publisher hand-over, revocation.
contract RolesTest is Fixture {
    address private constant NEXT = address(0x2222);
    bytes32 private constant A = keccak256("a");
    bytes32 private constant B = keccak256("b");

    /// Break it: drop onlyOwner from any of the three.
    function test_only_owner_names_and_revokes() public {
        address[4] memory others = [STRANGER, PUBLISHER, NEXT, address(0)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.startPrank(others[i]);
            bytes memory why = abi.encodeWithSelector(AnchorRegistry.NotOwner.selector, others[i]);
            vm.expectRevert(why);
            registry.transferOwnership(others[i]);
            vm.expectRevert(why);
            registry.proposePublisher(others[i]);
            vm.expectRevert(why);
            registry.revokePublisher();
            vm.stopPrank();
        }
    }

    /// Break it: let transferOwnership set owner; keep pendingOwner after acceptance.
    function test_ownership_moves_in_two_steps() public {
        vm.expectEmit(address(registry));
        emit AnchorRegistry.OwnershipTransferStarted(OWNER, NEXT);
        vm.prank(OWNER);
        registry.transferOwnership(NEXT);
        vm.assertEq(registry.owner(), OWNER, "still the old owner");
        vm.assertEq(registry.pendingOwner(), NEXT, "offered");

        notPendingOwner(STRANGER);
        notPendingOwner(OWNER);

        vm.expectEmit(address(registry));
        emit AnchorRegistry.OwnershipTransferred(OWNER, NEXT);
        vm.prank(NEXT);
        registry.acceptOwnership();
        vm.assertEq(registry.owner(), NEXT, "new owner");
        vm.assertEq(registry.pendingOwner(), address(0), "offer used up");
        vm.assertEq(registry.firstNumber(), FIRST, "neighbour in the slot untouched");
        notPendingOwner(NEXT);

        vm.prank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.NotOwner.selector, OWNER));
        registry.revokePublisher();
    }

    function test_ownership_offer_can_be_replaced_and_withdrawn() public {
        vm.startPrank(OWNER);
        registry.transferOwnership(STRANGER);
        registry.transferOwnership(NEXT);
        vm.stopPrank();
        notPendingOwner(STRANGER);
        vm.prank(OWNER);
        registry.transferOwnership(address(0));
        notPendingOwner(NEXT);
        vm.assertEq(registry.owner(), OWNER, "owner stays");
    }

    /// Break it: let proposePublisher set publisher; drop the check in acceptPublisher.
    function test_publisher_hands_over_in_two_steps() public {
        vm.expectEmit(address(registry));
        emit AnchorRegistry.PublisherProposed(PUBLISHER, NEXT);
        vm.prank(OWNER);
        registry.proposePublisher(NEXT);
        vm.assertEq(registry.pendingPublisher(), NEXT, "offered");
        store(A, 5); // the old one keeps working
        notPublisher(NEXT);
        notPendingPublisher(STRANGER);
        notPendingPublisher(OWNER);
        notPendingPublisher(PUBLISHER);

        vm.expectEmit(address(registry));
        emit AnchorRegistry.PublisherChanged(PUBLISHER, NEXT);
        vm.prank(NEXT);
        registry.acceptPublisher();
        vm.assertEq(registry.publisher(), NEXT, "new publisher");
        vm.assertEq(registry.pendingPublisher(), address(0), "offer used up");
        vm.assertEq(registry.lastNumber(), FIRST, "neighbour in the slot untouched");
        notPublisher(PUBLISHER);
        notPendingPublisher(NEXT);

        vm.startPrank(NEXT);
        registry.anchor(FIRST, A, 5); // repeating what the old one stored is a no-op for the new one as well
        vm.expectEmit(address(registry));
        emit AnchorRegistry.Anchored(B, FIRST + 1, 6, NEXT);
        registry.anchor(FIRST + 1, B, 6);
        vm.stopPrank();
    }

    function test_publisher_offer_can_be_replaced_and_withdrawn() public {
        vm.startPrank(OWNER);
        registry.proposePublisher(STRANGER);
        registry.proposePublisher(NEXT);
        vm.stopPrank();
        notPendingPublisher(STRANGER);
        vm.prank(OWNER);
        registry.proposePublisher(address(0));
        notPendingPublisher(NEXT);
        store(A, 5);
    }

    /// Break it: let revokePublisher do nothing, or clear lastNumber with it.
    function test_revocation_stops_anchoring_at_once() public {
        store(A, 5);
        vm.expectEmit(address(registry));
        emit AnchorRegistry.PublisherChanged(PUBLISHER, address(0));
        vm.prank(OWNER);
        registry.revokePublisher();
        vm.assertEq(registry.publisher(), address(0), "nobody");
        vm.assertEq(registry.lastNumber(), FIRST, "history stays");
        assertRecord(A, T0, 12, 5, FIRST, "record stays");
        notPublisher(PUBLISHER);
        notPublisher(OWNER);
        notPendingPublisher(PUBLISHER);

        vm.prank(OWNER);
        registry.proposePublisher(NEXT);
        vm.prank(NEXT);
        registry.acceptPublisher();
        vm.prank(NEXT);
        registry.anchor(FIRST + 1, B, 6);
        assertRecord(B, T0, 12, 6, FIRST + 1, "goes on without a hole");
    }

    function test_successor_proposed_before_revocation_can_still_accept() public {
        vm.startPrank(OWNER);
        registry.proposePublisher(NEXT);
        registry.revokePublisher();
        vm.stopPrank();
        vm.prank(NEXT);
        registry.acceptPublisher();
        vm.assertEq(registry.publisher(), NEXT, "publisher");
    }

    function notPublisher(address who) private {
        vm.prank(who);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.NotPublisher.selector, who));
        registry.anchor(FIRST, keccak256("x"), 5);
    }

    function notPendingOwner(address who) private {
        vm.prank(who);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.NotPendingOwner.selector, who));
        registry.acceptOwnership();
    }

    function notPendingPublisher(address who) private {
        vm.prank(who);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.NotPendingPublisher.selector, who));
        registry.acceptPublisher();
    }
}
